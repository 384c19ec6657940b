"""Steps that mend text before anything reads it, at building and at every prediction alike."""
