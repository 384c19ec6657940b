"""The catalogue of packaged weights and the folder that keeps them."""
