"""Learn from training rows which columns a model reads, and the known values of each category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rung.core.types import Columns, Field, Schema
from rung.modalities.tables.features import (
    MIN_VALUE_ROWS,
    TableFeatures,
    as_floats,
    calendar_features,
    digest,
)
from rung.modalities.tables.text_feature import TextScorer
from rung.modalities.tables.type_inference import is_identifier
from rung.training.tables.objective import Floats

_MAX_VALUES = 10_000


def fit_features(
    schema: Schema, inputs: Columns, texts: Mapping[str, TextScorer], fewest: int
) -> TableFeatures:
    """Return the features of training rows.

    texts: the fitted scorers of text columns. fewest: rows from which a category's value is known. Columns
    that are constant or that only identify rows are left out.
    """
    numbers: list[tuple[str, str]] = []
    categories: dict[str, tuple[str, ...]] = {}
    digests: dict[str, npt.NDArray[np.uint64]] = {}
    left_out: dict[str, str] = {}
    for field in schema.inputs:
        column = inputs[field.name]
        if field.kind == "text":
            continue
        why = ""
        if field.kind == "number":
            values = as_floats(column)
            why = useless_number(field, values)
            numbers += [] if why else [(field.name, "")]
        elif field.kind == "time":
            parts = {
                part: v
                for part, v in calendar_features(column).items()
                if len(np.unique(v[~np.isnan(v)])) > 1
            }
            why = "" if parts else "the same in every row"
            numbers += [(field.name, part) for part in parts]
        else:
            counts = Counter(value for value in column if value not in (None, ""))
            why = useless_category(field, counts, len(column))
            if not why:
                known = [(value, n) for value, n in counts.most_common(_MAX_VALUES) if n >= fewest]
                categories[field.name] = tuple(sorted(value for value, n in known if n >= MIN_VALUE_ROWS))
                rare = sorted(digest(field.name, value) for value, n in known if n < MIN_VALUE_ROWS)
                digests[field.name] = np.array(rare, dtype=np.uint64)
        if why:
            left_out[field.name] = why
    return TableFeatures(tuple(numbers), categories, digests, dict(texts), left_out)


def useless_number(field: Field, values: Floats) -> str:
    """Return why a column of numbers is not used; "" for one that is. values: of the rows, NaN where missing."""
    filled = values[~np.isnan(values)]
    distinct = len(np.unique(filled))
    if distinct == 0:
        return "empty in every row"
    if distinct == 1 and len(filled) == len(values):
        return "the same in every row"
    whole = bool((filled == np.floor(filled)).all())
    return "an id: it differs in every row" if is_identifier(field, distinct, len(filled), whole) else ""


def useless_category(field: Field, counts: Mapping[str, int], rows: int) -> str:
    """Return why a column of categories is not used; "" for one that is. counts: filled cells -> rows."""
    filled = sum(counts.values())
    if not counts:
        return "empty in every row"
    if len(counts) == 1 and filled == rows:
        return "the same in every row"
    return "an id: it differs in every row" if is_identifier(field, len(counts), filled, False) else ""
