"""Training neural networks with torch: one trainer and what it needs. Nothing here is imported by a server."""
