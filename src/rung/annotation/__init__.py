"""Labelling and review sessions, and the query strategies that choose their rows."""
