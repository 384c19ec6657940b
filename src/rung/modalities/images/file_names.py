"""Tell columns that name image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from rung.core.kind import kind, media_kinds

# The share of a column's examples that must end like image files for the column to be one of images.
_MOSTLY = 0.8


def names_images(examples: Sequence[str]) -> bool:
    """Return whether most examples of a column end like image files."""
    known = media_kinds()
    found = [known.get(PurePath(example).suffix.lower()) is kind("image") for example in examples]
    return bool(found) and sum(found) >= _MOSTLY * len(found)
