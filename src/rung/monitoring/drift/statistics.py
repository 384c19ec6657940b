"""The monitored statistics of inputs. Each is a function from a row to a bin, fitted once on training rows.

Per field: what its kind measures, such as the length and script of a text or the value of a number or
category. Per row: the rarity of its words, the distance to the nearest topic, and the nearest topic; for
tables, the mean surprisal of the cells. Times are not monitored, because they always change.
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

# Share of the rows that fits the text model and the bin shares; the others give the bin edges of row
# statistics.
_MODEL_SHARE = 2 / 3
# Scale of a measure -> how its values are binned.
_SCALES: Mapping[str, Callable[[Sequence[Any]], Binning]] = {
    NUMBER: QuantileBins.fit,
    CATEGORY: CategoryBins.fit,
    LENGTH: TextLengthBins.fit,
    SCRIPT: lambda _: ScriptBins(),
}


class TextModel(Protocol):
    """Model of the training texts, fitted by the class that `Kind.space` returns.

    rows: of texts it was fitted on.
    """

    rows: int

    @property
    def topics(self) -> int: ...

    def measure(self, texts: Sequence[str]) -> tuple[Any, Any, Any]:
        """Return for each text the rarity of its words, its distance to the nearest topic, and that topic."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[Any]]: ...


@dataclass(frozen=True)
class Statistic:
    """One monitored statistic.

    measure: length, script, value, words, ... field: its name, "" for the whole row.
    """

    measure: str
    field: str
    binning: Binning

    @property
    def key(self) -> str:
        """Return the name of the statistic in files and messages."""
        return f"{self.measure}:{self.field}" if self.field else self.measure


class InputStatistics:
    """The statistics of a model's inputs.

    text_model: None where no field is a text. bin_shares: for each cell statistic of a table, the share of
    rows in each bin.
    """

    def __init__(
        self,
        statistics: Sequence[Statistic],
        text_model: TextModel | None,
        bin_shares: Mapping[str, Sequence[float]],
    ) -> None:
        self.statistics = tuple(statistics)
        self.text_model = text_model
        self.bin_shares = {key: np.asarray(value, dtype=np.float64) for key, value in bin_shares.items()}

    @classmethod
    def fit(cls, schema: Schema, columns: Columns, seed: int = 0) -> InputStatistics:
        """Return the statistics of these rows. columns: values by field name."""
        rows = len(next(iter(columns.values()), ()))
        order = np.random.default_rng(seed).permutation(rows)
        first, second = (
            _select_rows(columns, part) for part in np.split(order, [max(round(rows * _MODEL_SHARE), 1)])
        )
        found, shares = [], {}
        for field in schema.inputs:
            for measure, (scale, cells) in kind(field.kind).measure(list(columns[field.name])).items():
                binning = _SCALES[scale](cells)
                found.append(Statistic(measure, field.name, binning))
                if measure == "value":
                    bins = binning.assign(list(first[field.name]))
                    counts = np.bincount(bins, minlength=binning.n_bins) + 0.5
                    shares[field.name] = (counts / counts.sum()).tolist()
        texts = _joined_texts(schema, first)
        text_model = _text_model_class(schema).fit(texts, seed) if texts else None
        fields_only = cls(found, text_model, shares)
        if text_model is not None:
            rarity, distance, _ = text_model.measure(_joined_texts(schema, second))
            found.append(Statistic("words", "", QuantileBins.fit(rarity.tolist())))
            found.append(Statistic("distance", "", QuantileBins.fit(distance.tolist())))
            found.append(
                Statistic("topic", "", FixedBins([str(topic) for topic in range(text_model.topics)]))
            )
        if len(shares) > 1:
            surprisal = fields_only.mean_surprisal(second)
            found.append(Statistic("cells", "", QuantileBins.fit(surprisal.tolist())))
        return cls(found, text_model, shares)

    def assign_bins(self, schema: Schema, columns: Columns) -> dict[str, Ints]:
        """Return statistic key -> bin of each row. Raises KeyError for a missing column."""
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
                # A measure that the kind no longer has counts as missing.
                _, cells = measured[item.field].get(item.measure, (NUMBER, [None] * rows))
            else:
                cells = whole[item.measure]
            found[item.key] = item.binning.assign(cells)
        return found

    def _is_monitored(self, field: str) -> bool:
        return any(item.field == field for item in self.statistics)

    def mean_surprisal(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return for each row the mean over its cells of -log(share of the cell's bin)."""
        total = np.zeros(len(next(iter(columns.values()), ())))
        for item in self.statistics:
            if item.measure == "value":
                total -= np.log(self.bin_shares[item.field][item.binning.assign(columns[item.field])])
        return total / max(len(self.bin_shares), 1)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the arrays of the text model as JSON."""
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
        """Return the statistics that `as_dict` wrote. arrays: of the text model."""
        n_texts = raw["word_rows"]
        text_model = kind("text").space().from_arrays(n_texts, arrays) if n_texts else None
        statistics = [
            Statistic(s["what"], s["field"], binning_from_dict(s["bins"])) for s in raw["statistics"]
        ]
        return cls(statistics, text_model, raw["shares"])


def unmonitored_inputs(schema: Schema) -> list[str]:
    """Return the inputs without a statistic: times, which always change, and kinds that measure nothing."""
    return [field.name for field in schema.inputs if not kind(field.kind).measure([])]


def _text_model_class(schema: Schema) -> Any:
    """Return the text model class of the first kind that has one."""
    return next(space for field in schema.inputs if (space := kind(field.kind).space()) is not None)


def _select_rows(columns: Columns, rows: npt.NDArray[np.int64]) -> dict[str, list[Any]]:
    return {name: [cells[i] for i in rows.tolist()] for name, cells in columns.items()}


def _joined_texts(schema: Schema, columns: Columns) -> list[str]:
    """Return the texts of each row joined by newlines; [] where no field is a text."""
    texts = [columns[field.name] for field in schema.inputs if kind(field.kind).space() is not None]
    return ["\n".join("" if cell is None else str(cell) for cell in row) for row in zip(*texts, strict=True)]
