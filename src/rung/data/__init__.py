"""Read, check and split what the user has; nothing here knows a model."""
