"""Fitting models on tables."""
