"""Find likely wrong labels by confident learning on out-of-fold predictions."""

from __future__ import annotations

from typing import Any

from rung.core.excerpt import excerpt
from rung.core.messages import percent
from rung.data.labels.confident_learning import error_rate, find_label_issues
from rung.data.prepare.parquet import read_hashes
from rung.data.profile.finding import Finding
from rung.data.profile.out_of_fold import out_of_fold
from rung.data.profile.view import View, evidence
from rung.modalities.text.near_duplicates import cluster_labels
from rung.training.linear.search import encode_labels

KINDS: frozenset[str] = frozenset()
TARGETS = True
WHEN = "labels"


def check(view: View) -> Finding | None:
    """Return the training rows whose label is likely wrong, the likeliest first, and the estimated share of wrong labels.

    `table` holds all of them with an empty column `correct`, as `rung data correct` reads it.
    """
    train = view.all_train
    labels = train.schema.labels
    pairs = view.near_duplicates
    together = cluster_labels(pairs, len(train)).tolist() if len(pairs) else None
    answered = out_of_fold(view.product, train, together)
    if answered is None:
        return None
    probabilities = answered.probabilities
    codes = encode_labels(train.targets, labels)
    found = find_label_issues(codes, probabilities)
    if not len(found.rows):
        return None
    rate = error_rate(codes, probabilities)
    rows = found.rows.tolist()
    suggested = dict(zip(rows, (labels[code] for code in found.suggested.tolist()), strict=True))
    files = train.files or [""] * len(train)
    hashes = read_hashes(view.dataset, "train")
    table = [
        {
            "file": files[row], "row": train.rows[row], "hash": hashes[row],
            "text": excerpt(train, row), "label": train.targets[row], "suggested": suggested[row],
            "probability": round(float(probabilities[row].max()), 4), "correct": "",
        }
        for row in rows
    ]  # fmt: skip
    values: dict[str, Any] = {
        name: percent(getattr(rate, key), 1)
        for name, key in (("rate", "value"), ("low", "low"), ("high", "high"))
    }
    # The same rows give another list where other weights are on the machine: the finding names what it used.
    values |= {"models": dict(answered.models), "left_out": dict(answered.left_out)}
    shown = evidence(train, rows, lambda row: f"{train.targets[row]} → {suggested[row]}")
    return Finding("wrong_labels", "warn", len(rows), len(train), values, shown, table)
