"""Labelling and review sessions, and the active learner that chooses their rows."""
