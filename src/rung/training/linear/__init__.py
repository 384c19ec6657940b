"""Fit linear models: search, calibration, ridge regression, kernel maps."""
