"""What only builds of recommenders need: matrices of users and items, and the fits of each rung."""
