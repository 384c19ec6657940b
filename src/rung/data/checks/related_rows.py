"""Check for rows that come in families: customers, templates or sessions on both sides of the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rung.core.kind import kind
from rung.core.metrics.scored import sampling_of
from rung.core.types import Examples
from rung.data.profile.association import as_numbers
from rung.data.profile.finding import Finding, Level
from rung.data.profile.related import Related, RowTable, related
from rung.data.profile.view import View, evidence, joined, spread

KINDS = frozenset({"text", "number", "category", "time"})
TARGETS = False
WHEN = "build"
# So many rows tell; of families of eight in a hundred thousand rows a tenth still has relatives.
_ROWS = 10_000
# Rows shown, of as many families as fit.
_FAMILIES, _OF_EACH = 5, 3
# From this share of what is learned on, clusters that no column tells apart stop a build: below, they are warned of.
_SURE_LOSS = 0.75


def check(view: View) -> Finding | None:
    """Return that rows are related, when quick models predict them far better with relatives in training than without."""
    if sampling_of(view.dataset.facts["split"]) != "drawn":
        return None  # The certificate speaks of later rows of these very groups, or of this one series.
    train = view.train.take(spread(len(view.train), _ROWS))
    found = related(_table(train), lambda: _unread(view, train))
    if found is None:
        return None
    label = found.found.clusters.label
    sizes = np.bincount(label)
    shown = [
        int(row)
        for cluster in np.argsort(-sizes, kind="stable")[:_FAMILIES].tolist()
        for row in np.flatnonzero(label == cluster)[:_OF_EACH]
    ]
    files = train.files or [""] * len(train)
    table = [
        {
            "file": files[row],
            "row": train.rows[row],
            "family": int(label[row]) + 1,
            "target": train.targets[row],
        }
        for row in np.lexsort((np.arange(len(label)), label)).tolist()
        if sizes[label[row]] > 1
    ]
    proof = evidence(train, shown, lambda row: f"{int(label[row]) + 1}: {train.targets[row]}")
    # Similar texts of one meaning, such as short requests, lose a part too; families by nothing but themselves lose nearly all.
    sure = bool(found.group or found.found.clusters.column) or found.found.lost >= _SURE_LOSS
    level: Level = "stop" if sure else "warn"
    return Finding("related_rows", level, len(table), len(train), _values(found, train), proof, table)


def _values(found: Related, train: Examples) -> dict[str, Any]:
    """Return the numbers and words of the message."""
    measured = found.found
    values: dict[str, Any] = {
        "kin": measured.clusters.how,
        "shared": measured.clusters.column,
        "metric": "accuracy" if train.schema.labels else "R2",
        "clusters": measured.clusters.count,
        "group": found.group,
    }
    for name in ("plain", "plain_bound", "clustered", "clustered_bound"):
        values[name] = f"{getattr(measured, name):.3f}"
    return values


def _table(train: Examples) -> RowTable:
    inputs = train.schema.inputs
    prose = [field.name for field in inputs if kind(field.kind).is_prose]
    others = [field for field in inputs if field.name not in prose and not kind(field.kind).is_media]
    columns: dict[str, Sequence[Any]] = {field.name: list(train.inputs[field.name]) for field in others}
    numbers = [field for field in others if kind(field.kind).is_number or field.kind == "time"]
    columns |= {f.name: as_numbers(f, train.inputs[f.name], range(len(train))).tolist() for f in numbers}
    texts = joined(train.inputs, prose) if prose else []
    return RowTable(
        texts, columns, [field.name for field in numbers], train.targets, train.schema.labels, train.units
    )


def _unread(view: View, train: Examples) -> Mapping[str, Sequence[Any]]:
    """Return the cells of the source's columns that are neither input nor target, for these rows."""
    data = view.product.data
    read = {*view.dataset.schema.input_names, data.target}
    names = [name for name in view.sources[0].columns if name not in read]
    place = {key: i for i, key in enumerate(zip(train.files, train.rows, strict=False))}
    found: dict[str, list[Any]] = {name: [None] * len(train) for name in names}
    for row in view.rows() if names and place else ():
        i = place.get((row.file, row.number))
        if i is not None and row.values is not None:
            for name in names:
                found[name][i] = row.values.get(name)
    return found
