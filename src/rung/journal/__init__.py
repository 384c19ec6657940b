"""Schema, writer, reader and encryption of the journal of served predictions and feedback."""
