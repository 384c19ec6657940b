"""Fit models on text, and export encoders."""
