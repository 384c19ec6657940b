"""What ships with a bundle: one package for each kind of data."""
