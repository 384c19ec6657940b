"""Text: n-grams, embeddings, encoders and their predictors."""
