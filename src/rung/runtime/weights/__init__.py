"""The catalogue of packaged weights and the folder that stores them."""
