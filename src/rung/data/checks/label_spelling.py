"""Check for labels that differ only by case, spaces, width or trailing punctuation."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict

from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS: frozenset[str] = frozenset()
TARGETS = True
WHEN = "build"


def check(view: View) -> Finding | None:
    """Return the labels that fold to the same, with a row of each rarer spelling."""
    counts = Counter(view.dataset.facts["labels"])
    groups: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        groups[folded(label)].append(label)
    twins = [sorted(group, key=lambda label: -counts[label]) for group in groups.values() if len(group) > 1]
    if not twins:
        return None
    rarer = {label: group[0] for group in twins for label in group[1:]}
    rows = sum(counts[label] for label in rarer)
    first: dict[str, int] = {}
    for place, label in enumerate(view.labels):
        if label in rarer:
            first.setdefault(label, place)
    shown = "; ".join(" = ".join(f"'{label}' ({counts[label]})" for label in group) for group in twins[:5])
    wanted = {place: rarer[label] for label, place in first.items()}
    return Finding(
        "label_spelling", "stop", rows, sum(counts.values()), {"labels": shown, "groups": len(twins)},
        view.evidence(list(wanted), lambda place: f"{view.labels[place]} = {wanted[place]}"),
    )  # fmt: skip


def folded(label: str) -> str:
    """Return a label without what people vary by accident: NFKC, case, blanks, joining marks, a final stop."""
    text = unicodedata.normalize("NFKC", label).casefold().strip().rstrip(".。!！")
    return "".join(char for char in text if not char.isspace() and char not in "-_/\u200b\ufeff")
