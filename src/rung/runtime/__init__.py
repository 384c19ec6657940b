"""Prediction code that all modalities share."""
