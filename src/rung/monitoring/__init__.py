"""Drift, business value and webhooks of served models."""
