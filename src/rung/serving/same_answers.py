"""Compare answers with packed examples: equal, but for what processors round otherwise."""

from __future__ import annotations

from typing import Any

# Another processor may round the last bits of a neural network otherwise.
_TOLERANCE = 1e-3


def same_fields(expected: dict[str, Any], got: dict[str, Any]) -> bool:
    """Return whether two answers have the same fields, of the same types."""
    return expected.keys() == got.keys() and all(
        type(got[key]) is type(value) or value is None for key, value in expected.items()
    )


def is_close(expected: Any, got: Any) -> bool:
    """Return whether two answers are equal but for the last bits of their numbers."""
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(is_close(expected[key], got[key]) for key in expected)
    if isinstance(expected, float) and isinstance(got, int | float):
        return abs(expected - got) <= _TOLERANCE
    return bool(expected == got)
