"""What goes round: rows are chosen, people answer, models learn."""
