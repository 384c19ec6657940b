"""product.yaml as types: every block of it, its checks and its messages."""
