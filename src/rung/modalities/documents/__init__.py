"""Documents: files of pages by reference."""
