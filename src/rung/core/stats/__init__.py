"""Confidence bounds and the paired non-inferiority test."""
