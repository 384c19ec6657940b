"""Fit a table model for sets of labels: each label by itself (binary relevance), thresholds from rows out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import FitCancelled
from rung.core.label_sets import marks_of
from rung.core.model import FitContext
from rung.core.types import Examples, Field
from rung.modalities.tables.fitted import FittedTable
from rung.modalities.tables.label_parts import NO_YES, LabelParts
from rung.training.linear.label_sets import choose_thresholds, set_score
from rung.training.tables.fit import fit_held_out, fit_table

Floats = npt.NDArray[np.float64]
# Labels that fewer rows have, or lack, answer with their share of the rows: no fold would hold enough of them.
_LEAST_ROWS = 10


def fit_answers(
    examples: Examples, families: Sequence[str], mixes: bool, params: Any, context: FitContext
) -> FittedTable | LabelParts:
    """Return a model fitted on these rows: one part a label where targets are sets; arguments as for `fit_table`."""
    if examples.schema.label_set:
        return fit_label_parts(examples, families, mixes, params, context)
    return fit_table(examples, families, mixes, params, context)


def fit_label_parts(
    examples: Examples, families: Sequence[str], mixes: bool, params: Any, context: FitContext
) -> LabelParts:
    """Return one fitted table a label, each with an equal part of the time, and the thresholds that suit the bar's metric."""
    labels = examples.schema.label_set
    marks = marks_of(examples.targets, labels)
    counts = marks.sum(axis=0)
    learned = np.minimum(counts, len(marks) - counts) >= _LEAST_ROWS
    shares = (counts + 0.5) / (len(marks) + 1.0)
    seconds = None if context.seconds is None else context.seconds / max(int(learned.sum()), 1)
    # Steps of a label's own fit would run from the start again with each label: progress counts labels.
    own = replace(context, seconds=seconds, goal="roc_auc", channel=None)
    parts: list[FittedTable | None] = []
    chances = np.tile(shares, (len(marks), 1))
    told = np.ones(len(marks), dtype=bool)
    for number in range(len(labels)):
        context.report(number, len(labels))
        if context.cancelled():
            raise FitCancelled
        if not learned[number]:
            parts.append(None)
            continue
        part, rows, probabilities = fit_held_out(
            _one_label(examples, marks[:, number]), families, mixes, params, own
        )
        parts.append(part)
        chances[rows, number] = probabilities[:, 1]
        told &= np.isin(np.arange(len(marks)), rows)
    thresholds = choose_thresholds(chances[told], marks[told], context.goal)
    chosen = {
        "labels": {label: dict(part.chosen) for label, part in zip(labels, parts, strict=True) if part is not None},
        "share_of_rows_answers": [label for label, part in zip(labels, parts, strict=True) if part is None],
        "thresholds": {label: round(float(t), 4) for label, t in zip(labels, thresholds, strict=True)},
        "search_score": round(set_score(marks[told], chances[told] >= thresholds, context.goal, labels), 4),
    }  # fmt: skip
    return LabelParts(tuple(parts), shares, thresholds, chosen)


def _one_label(examples: Examples, marks: Floats) -> Examples:
    """Return the rows with yes or no as target: whether they have the label."""
    schema = replace(examples.schema, outputs=(Field("label", "category", "output", NO_YES),))
    return replace(examples, schema=schema, targets=[NO_YES[int(mark)] for mark in marks])
