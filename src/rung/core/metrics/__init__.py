"""Metrics, each with its own confidence bound."""
