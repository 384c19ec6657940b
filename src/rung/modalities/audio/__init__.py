"""Sound: clips by reference."""
