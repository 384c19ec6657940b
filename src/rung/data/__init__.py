"""Read, check and split the user's data. Nothing here knows a model family."""
