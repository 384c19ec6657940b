"""What models share and core must not carry."""
