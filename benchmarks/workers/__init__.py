"""One script a peer, run in the peer's own environment: `python -m workers.<peer> FOLDER`."""
