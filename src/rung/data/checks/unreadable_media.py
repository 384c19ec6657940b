"""Check for media that were left out because they are missing, damaged, too large or of another format."""

from __future__ import annotations

import json
from collections import Counter

from rung.data.prepare.near_media import media_fields
from rung.data.profile.finding import MOST_EVIDENCE, Evidence, Finding
from rung.data.profile.view import View

KINDS: frozenset[str] = frozenset()
TARGETS = False
WHEN = "build"
# Why a kind of media, or the folder they lie in, leaves a file out.
REASONS = ("unreadable", "empty_file", "missing_file", "outside_folder", "too_large", "other_file")
# From this share of all rows on, what is left out may be of one class or one source.
_MANY = 0.01


def check(view: View) -> Finding | None:
    """Return the rows whose media cannot be used, with the reason of each; they train nothing and certify nothing."""
    counts = view.dataset.facts["quarantined"]
    left_out = {reason: counts[reason] for reason in REASONS if counts.get(reason)}
    if not left_out or not media_fields(view.dataset.schema.inputs):
        return None
    rows, total = sum(left_out.values()), view.dataset.facts["rows"]
    values = {"reasons": dict(Counter(left_out).most_common())}
    return Finding(
        "unreadable_media", "warn" if rows >= _MANY * total else "info", rows, total, values, _evidence(view)
    )


def _evidence(view: View) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    with (view.dataset.folder / "quarantine.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["reason"] in REASONS and len(found) < MOST_EVIDENCE:
                found.append(Evidence(row["file"], row["row"], row["file"], row["detail"] or row["reason"]))
    return tuple(found)
