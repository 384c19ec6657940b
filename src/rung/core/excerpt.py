"""A row's inputs as one line of text and as small pictures, for reports and findings."""

from __future__ import annotations

from typing import Any

from rung.core.kind import kind
from rung.core.types import Examples

# Characters of one value that are looked at.
_MOST = 2_000


def excerpt(examples: Examples, index: int, chars: int = 280) -> str:
    """Return the beginning of a row's inputs as one line: names where there are several, each value as its kind shows it."""
    (cells,) = examples.take([index]).records()
    # What a row may lack, and lacks, has nothing to show.
    fields = [f for f in examples.schema.inputs if cells[f.name] is not None or not kind(f.kind).is_optional]
    # One column speaks for itself; of several each needs its name.
    named = len(fields) > 1 and any(not kind(f.kind).is_prose for f in fields)
    joined = " · ".join(
        (f"{f.name}: " if named else "") + kind(f.kind).preview_text(cells[f.name], _MOST) for f in fields
    )
    return joined if len(joined) <= chars else joined[: chars - 1] + "…"


def thumbnails(examples: Examples, index: int) -> list[str]:
    """Return small pictures of a row's inputs as data URIs; [] where no kind has one."""
    fields = examples.schema.inputs
    (cells,) = examples.take([index]).records()
    return [picture for f in fields if (picture := kind(f.kind).thumbnail(cells[f.name]))]


def picture(examples: Examples, index: int) -> dict[str, Any]:
    """Return a row's first input that people can look at as `picture`, a data URI, and its `size` in pixels; {} without one."""
    (cells,) = examples.take([index]).records()
    for field in examples.schema.inputs:
        value = cells[field.name]
        if shown := kind(field.kind).picture(value):
            measures = getattr(value, "measures", {})
            return {"picture": shown, "size": [measures.get("width", 0), measures.get("height", 0)]}
    return {}
