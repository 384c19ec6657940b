"""One file for each model family; the file name is the name of the family."""
