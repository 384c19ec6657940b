"""Compare columns that could be the target: by how well a quick model predicts them from the other columns."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import ComplementNB

from rung.core.task import ColumnProfile
from rung.data.profile.family_column import plain_text
from rung.data.sources.read import Source, read_rows
from rung.modalities.tables.numbers import decide_format, parse_number

# Read from the beginning of the source: a look takes about a second.
_ROWS = 2_000
_FEWEST_ROWS, _FOLDS, _MOST_TARGETS = 60, 3, 6
_BINS = 8
# Characters stand for the words of languages without spaces.
_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")


@dataclass(frozen=True)
class TargetChoice:
    """A column that could be the target. signal: share of the errors of the most frequent value that a quick model avoids, on
    rows held out from it; None where there are too few rows.
    """

    column: str
    values: int
    signal: float | None


def target_choices(
    source: Source,
    candidates: Sequence[str],
    inputs: Mapping[str, Sequence[str]],
    columns: Mapping[str, ColumnProfile],
) -> list[TargetChoice]:
    """Return the candidates with their signal, at most six, in the order given.

    inputs: candidate -> the columns to predict it from. columns: by name.
    """
    rows = [row.values for row in islice(read_rows(source), _ROWS) if row.values is not None]
    return [
        TargetChoice(name, columns[name].distinct, _signal(rows, name, inputs[name], columns))
        for name in candidates[:_MOST_TARGETS]
    ]


def _signal(
    rows: Sequence[Mapping[str, Any]],
    target: str,
    inputs: Sequence[str],
    columns: Mapping[str, ColumnProfile],
) -> float | None:
    kept = [row for row in rows if plain_text(row.get(target))]
    counts = Counter(plain_text(row[target]) for row in kept)
    kept = [row for row in kept if counts[plain_text(row[target])] >= _FOLDS]
    labels = [plain_text(row[target]) for row in kept]
    if len(kept) < _FEWEST_ROWS or len(set(labels)) < 2:
        return None
    cells = [_tokens(kept, name, columns[name]) for name in inputs]
    texts = [" ".join(parts) for parts in zip(*cells, strict=True)]
    features = HashingVectorizer(n_features=2**16, alternate_sign=False, token_pattern=r"\S+").transform(
        texts
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    answers = cross_val_predict(ComplementNB(), features, labels, cv=folds)
    errors = 1.0 - max(Counter(labels).values()) / len(labels)
    return float((errors - np.mean(answers != np.asarray(labels))) / errors)


def _tokens(rows: Sequence[Mapping[str, Any]], name: str, column: ColumnProfile) -> list[str]:
    """Return a column's cells as tokens: words of a text, the bin of a number, the value of anything else."""
    cells = [plain_text(row.get(name)) for row in rows]
    if column.numeric >= 0.95:
        unit, form = decide_format(Counter(cells))
        read = (parse_number(cell, unit, form) for cell in cells)
        numbers = np.array([math.nan if number is None else number for number in read], dtype=np.float64)
        known = numbers[np.isfinite(numbers)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else known
        return [
            f"{name}={np.searchsorted(edges, number) if math.isfinite(number) else 'none'}".replace(" ", "_")
            for number in numbers
        ]
    if column.words >= 3 or column.mean_chars >= 30:
        return [" ".join([*cell.split(), *_WITHOUT_SPACES.findall(cell)]) for cell in cells]
    return [f"{name}={cell}".replace(" ", "_") for cell in cells]
