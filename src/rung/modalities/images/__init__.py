"""Images: decoding, features, the backbone's runtime and the image kind."""
