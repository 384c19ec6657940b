"""What only builds need: fitting, search, calibration, export."""
