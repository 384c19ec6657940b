"""Code that only builds need: fitting, model selection, calibration, export."""
