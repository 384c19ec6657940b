"""Ship the cheapest model that clears your bar."""
