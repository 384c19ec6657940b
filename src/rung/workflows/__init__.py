"""Each file is one verb, whole, on one page."""
