"""Names of the people who label."""

from __future__ import annotations

from rung.core.errors import InputError

MAX_NAME_CHARS = 60


def normalize_author(author: str) -> str:
    """Return a person's name with single spaces; raises InputError for an empty or too long name."""
    name = " ".join(str(author).split())
    if not name or len(name) > MAX_NAME_CHARS:
        raise InputError(
            "the name of the annotator is missing or too long",
            "by",
            f"Give a name of 1 to {MAX_NAME_CHARS} characters.",
        )
    return name
