"""product.yaml as types: sections, validation and error messages."""
