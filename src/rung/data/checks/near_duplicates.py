"""Check for near-duplicate training rows, and near duplicates with contradictory labels."""

from __future__ import annotations

from collections import Counter, defaultdict

from rung.core.excerpt import excerpt
from rung.data.profile.finding import Finding, Level
from rung.data.profile.view import View, evidence
from rung.modalities.text.near_duplicates import cluster_labels

KINDS: frozenset[str] = frozenset()
TARGETS = False
WHEN = "check"


def check(view: View) -> Finding | None:
    """Return the training rows that have a near duplicate, contradicting groups first.

    Exact repeats were left out before; near duplicates of certification rows were left out of training.
    """
    train = view.all_train
    pairs = view.near_duplicates
    if not len(pairs):
        return None
    member = cluster_labels(pairs, len(train))
    rows: dict[int, list[int]] = defaultdict(list)
    for row in sorted({*pairs.left.tolist(), *pairs.right.tolist()}):
        rows[int(member[row])].append(row)
    labelled = bool(view.dataset.schema.labels)
    labels = {first: Counter(str(train.targets[i]) for i in group) for first, group in rows.items()}
    torn = {first for first, counts in labels.items() if labelled and len(counts) > 1}
    order = sorted(rows, key=lambda first: (first not in torn, -len(rows[first]), first))
    number = {first: place for place, first in enumerate(order, 1)}
    ranked = [row for first in order for row in rows[first]]

    def note(row: int) -> str:
        target = f": {train.targets[row]}" if labelled else ""
        return f"{number[int(member[row])]}{target}"

    values = {
        "clusters": len(rows), "largest": max(map(len, rows.values())), "contradictions": len(torn),
        "contradicting": sum(len(rows[first]) for first in torn),
    }  # fmt: skip
    files = train.files or [""] * len(train)
    table = [
        {
            "file": files[row], "row": train.rows[row], "group": number[int(member[row])],
            "contradicts": "yes" if int(member[row]) in torn else "", "label": train.targets[row],
            "text": excerpt(train, row),
        }
        for row in ranked
    ]  # fmt: skip
    level: Level = "warn" if torn or len(ranked) > 0.05 * len(train) else "info"
    return Finding(
        "near_duplicates", level, len(ranked), len(train), values, evidence(train, ranked, note), table
    )
