"""Fitting models on text, and preparing encoders."""
