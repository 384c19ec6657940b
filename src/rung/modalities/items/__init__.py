"""Lists of things: histories of a user, and JSON of any shape."""
