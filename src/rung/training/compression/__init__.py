"""Ways to make a fitted model smaller or faster."""
