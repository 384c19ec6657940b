"""What is watched of a row, statistic by statistic: each a function from a row to a bin, learned once and then fixed.

Of fields: length and script of a text, the value of a number or category. Of whole rows: how rare their words are, how
far they are from every topic and which topic is nearest; of a table, how unusual its cells are taken together. Times
are not watched: they move on by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rung.core.kind import CATEGORY, LENGTH, NUMBER, SCRIPT, kind
from rung.core.types import Columns, Schema
from rung.monitoring.drift.binning import (
    Binning,
    CategoryBins,
    FixedBins,
    Ints,
    QuantileBins,
    ScriptBins,
    TextLengthBins,
    binning_from_dict,
)

# Of the rows used to learn, so many fix the functions; the rest their edges.
_MODEL_SHARE = 2 / 3
# How what a kind measures is put into bins.
_SCALES: Mapping[str, Callable[[Sequence[Any]], Binning]] = {
    NUMBER: QuantileBins.fit,
    CATEGORY: CategoryBins.fit,
    LENGTH: TextLengthBins.fit,
    SCRIPT: lambda _: ScriptBins(),
}


class RowSpace(Protocol):
    """Where the texts of a whole row lie among those of training: what `Kind.space` learns."""

    rows: int

    @property
    def topics(self) -> int: ...

    def measure(self, texts: Sequence[str]) -> tuple[Any, Any, Any]:
        """Return of each row how rare its words are, how far it is from every topic, and its nearest topic."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[Any]]: ...


@dataclass(frozen=True)
class Statistic:
    """One thing that is watched. name: of a field, or "" for the whole row. what: length, script, value, words, ..."""

    measure: str
    field: str
    binning: Binning

    @property
    def key(self) -> str:
        """Return the statistic's name in files and messages."""
        return f"{self.measure}:{self.field}" if self.field else self.measure


class InputStatistics:
    """The statistics of a model's inputs. shares: of a table, of each cell statistic the share of rows in each bin."""

    def __init__(
        self,
        statistics: Sequence[Statistic],
        words: RowSpace | None,
        shares: Mapping[str, Sequence[float]],
    ) -> None:
        self.statistics = tuple(statistics)
        self.text_model = words
        self.bin_shares = {key: np.asarray(value, dtype=np.float64) for key, value in shares.items()}

    @classmethod
    def fit(cls, schema: Schema, columns: Columns, seed: int = 0) -> InputStatistics:
        """Return the statistics of these rows. Some fix what is common, others the edges between bins."""
        rows = len(next(iter(columns.values()), ()))
        order = np.random.default_rng(seed).permutation(rows)
        first, second = (
            _select_rows(columns, part) for part in np.split(order, [max(round(rows * _MODEL_SHARE), 1)])
        )
        found, shares = [], {}
        for field in schema.inputs:
            for what, (scale, cells) in kind(field.kind).measure(list(columns[field.name])).items():
                made = _SCALES[scale](cells)
                found.append(Statistic(what, field.name, made))
                if what == "value":
                    counts = np.bincount(made.assign(list(first[field.name])), minlength=made.n_bins) + 0.5
                    shares[field.name] = (counts / counts.sum()).tolist()
        texts = _joined_texts(schema, first)
        words = _text_model_class(schema).fit(texts, seed) if texts else None
        sketch = cls(found, words, shares)
        if words is not None:
            rarity, distance, _ = words.measure(_joined_texts(schema, second))
            found += [Statistic("words", "", QuantileBins.fit(rarity.tolist())), Statistic("distance", "", QuantileBins.fit(distance.tolist()))]  # fmt: skip
            found.append(Statistic("topic", "", FixedBins([str(topic) for topic in range(words.topics)])))
        if len(shares) > 1:
            found.append(Statistic("cells", "", QuantileBins.fit(sketch.mean_surprisal(second).tolist())))
        return cls(found, words, shares)

    def assign_bins(self, schema: Schema, columns: Columns) -> dict[str, Ints]:
        """Return of each statistic the bin of each row. Raises KeyError for a column that is not there."""
        found: dict[str, Ints] = {}
        whole: dict[str, Any] = {}
        if self.text_model is not None:
            whole["words"], whole["distance"], topic = self.text_model.measure(_joined_texts(schema, columns))
            whole["topic"] = topic.tolist()
        if any(item.measure == "cells" for item in self.statistics):
            whole["cells"] = self.mean_surprisal(columns)
        measured = {
            f.name: kind(f.kind).measure(list(columns[f.name]))
            for f in schema.inputs
            if self._is_monitored(f.name)
        }
        rows = len(next(iter(columns.values()), ()))
        for item in self.statistics:
            if item.field:
                # What was measured once and is not any more counts as missing.
                _, cells = measured[item.field].get(item.measure, (NUMBER, [None] * rows))
            else:
                cells = whole[item.measure]
            found[item.key] = item.binning.assign(cells)
        return found

    def _is_monitored(self, field: str) -> bool:
        return any(item.field == field for item in self.statistics)

    def mean_surprisal(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return how unusual each row's cells are, the mean of -log of the share of each cell's bin."""
        total = np.zeros(len(next(iter(columns.values()), ())))
        for item in self.statistics:
            if item.measure == "value":
                total -= np.log(self.bin_shares[item.field][item.binning.assign(columns[item.field])])
        return total / max(len(self.bin_shares), 1)

    def as_dict(self) -> dict[str, Any]:
        """Return all but the arrays of the words as JSON."""
        return {
            "statistics": [
                {"what": s.measure, "field": s.field, "bins": s.binning.as_dict()} for s in self.statistics
            ],
            "shares": {key: [round(float(v), 6) for v in value] for key, value in self.bin_shares.items()},
            "word_rows": self.text_model.rows if self.text_model else 0,
        }

    @classmethod
    def from_dict(
        cls, raw: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[np.generic]]
    ) -> InputStatistics:
        """Return what `as_dict` and the arrays say."""
        words = kind("text").space().from_arrays(raw["word_rows"], arrays) if raw["word_rows"] else None
        statistics = [
            Statistic(s["what"], s["field"], binning_from_dict(s["bins"])) for s in raw["statistics"]
        ]
        return cls(statistics, words, raw["shares"])


def unmonitored_inputs(schema: Schema) -> list[str]:
    """Return the inputs that nothing watches: times, which move on by themselves, and kinds without a statistic."""
    return [field.name for field in schema.inputs if not kind(field.kind).measure([])]


def _text_model_class(schema: Schema) -> Any:
    """Return the class that learns a space of whole rows: that of the first kind which has one."""
    return next(space for field in schema.inputs if (space := kind(field.kind).space()) is not None)


def _select_rows(columns: Columns, rows: npt.NDArray[np.int64]) -> dict[str, list[Any]]:
    return {name: [cells[i] for i in rows.tolist()] for name, cells in columns.items()}


def _joined_texts(schema: Schema, columns: Columns) -> list[str]:
    """Return the texts of each row as one; [] where no field is a text."""
    texts = [columns[field.name] for field in schema.inputs if kind(field.kind).space() is not None]
    return ["\n".join("" if cell is None else str(cell) for cell in row) for row in zip(*texts, strict=True)]
