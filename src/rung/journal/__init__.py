"""What a journal looks like and how its inputs are encrypted: read by the loop, written by the server."""
