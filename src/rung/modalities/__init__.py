"""What ships with a bundle, one package a kind of data."""
