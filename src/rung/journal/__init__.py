"""Schema, writer, reader and encryption of the journal: predictions, feedback and shadow answers of served models."""
