"""Text cleaning steps, applied before anything reads the text: the same when building and when predicting."""
