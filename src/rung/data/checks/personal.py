"""Check for personal data that the spec's `privacy` section would mask or drop."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from rung.core.spec.cleaning import DEFAULT_KINDS
from rung.data.profile.finding import Finding
from rung.data.profile.view import View
from rung.privacy import find_personal_data
from rung.privacy.masking import redact

KINDS = frozenset({"text"})
TARGETS = False
WHEN = "build"


def check(view: View) -> Finding | None:
    """Return the rows that hold personal data; what the spec masks or drops is not there any more."""
    found = {
        i: list(dict.fromkeys(span.kind for span in spans))
        for i, text in enumerate(view.texts)
        if (spans := find_personal_data(text))
    }
    if not found:
        return None
    counts = Counter(kind for kinds in found.values() for kind in kinds)
    named = [kind for kind in DEFAULT_KINDS if kind in counts]
    shown = ", ".join(f"{kind} {counts[kind]:,}" for kind in named)
    evidence = view.evidence(list(found), lambda i: ", ".join(found[i]))
    # Evidence is published: the data itself stays out of it.
    hidden = tuple(replace(item, excerpt=redact(item.excerpt, DEFAULT_KINDS)) for item in evidence)
    values = {"kinds": shown, "mask": ", ".join(named)}
    return Finding("personal", "warn", len(found), len(view.texts), values, hidden)
