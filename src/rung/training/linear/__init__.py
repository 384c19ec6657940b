"""Fitting linear models: search, calibration, ridge regression."""
