"""The HTTP server: authentication, limits, routes, pages, OpenAPI."""
