"""Check for labels with too few training rows to learn or to evaluate."""

from __future__ import annotations

from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS: frozenset[str] = frozenset()
TARGETS = True
WHEN = "build"
LEAST = 20


def check(view: View) -> Finding | None:
    """Return the labels of fewer than LEAST training rows."""
    labels = view.dataset.facts["labels"]
    thin = {label: count for label, count in labels.items() if count < LEAST}
    if not thin:
        return None
    ranked = sorted(thin.items(), key=lambda item: (item[1], item[0]))
    shown = ", ".join(f"'{label}' ({count})" for label, count in ranked[:8])
    values = {"classes": len(thin), "least": LEAST, "labels": shown + (" …" if len(thin) > 8 else "")}
    rank = {label: place for place, (label, _) in enumerate(ranked)}
    rows = sorted(
        (i for i, label in enumerate(view.labels) if label in thin), key=lambda i: rank[view.labels[i]]
    )
    return Finding(
        "small_classes", "warn", sum(thin.values()), sum(labels.values()), values,
        view.evidence(rows, view.labels.__getitem__),
    )  # fmt: skip
