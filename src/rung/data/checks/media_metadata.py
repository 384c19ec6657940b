"""Check for media files that say where, with what or by whom they were made: personal data beside the content."""

from __future__ import annotations

from collections import Counter

from rung.core.errors import RungError
from rung.core.kind import kind
from rung.data.profile.finding import Finding
from rung.data.profile.view import View, spread

KINDS = frozenset({"image"})
TARGETS = False
WHEN = "build"
# Files whose headers are read.
_MOST = 10_000


def check(view: View) -> Finding | None:
    """Return the rows whose files hold such metadata, with what it is. It never ships; the data set itself keeps it."""
    fields = [field for field in view.dataset.schema.inputs if kind(field.kind).is_media]
    looked = spread(len(view.train), _MOST)
    found: dict[int, list[str]] = {}
    for place in looked:
        held: set[str] = set()
        for field in fields:
            try:
                held |= kind(field.kind).personal_metadata(view.train.inputs[field.name][place])
            except RungError:  # It was readable when the data was prepared: another check says what is gone.
                continue
        if held:
            found[int(place)] = sorted(held)
    if not found:
        return None
    counts = Counter(name for held in found.values() for name in held)
    values = {name.replace(" ", "_"): counts.get(name, 0) for name in ("location", "serial number", "owner")}
    return Finding(
        "media_metadata", "warn", len(found), len(looked), values,
        view.evidence(list(found), lambda i: ", ".join(found[i])),
    )  # fmt: skip
