"""The reference that ships with a bundle: what rows and answers looked like when the model was built.

`drift.json` and `drift.safetensors` beside the model, hashed in the manifest: edges of bins, counts, word buckets. It
holds no text, no row, and no value of a row; well under 200 KB.

Why the counts are a fair reference: the training rows are dealt at random into two parts. One fixes every function
from a row to a bin, the other is only counted. So the counted rows relate to those functions as rows that come later
do, and exchangeability of rows carries over to their bins; rows that had helped to choose the bins would not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.errors import BundleError, RungError
from rung.core.files import write_json
from rung.core.types import Columns, Prediction, Schema
from rung.monitoring.drift.binning import Binning, FixedBins, QuantileBins, binning_from_dict
from rung.monitoring.drift.statistics import InputStatistics, unmonitored_inputs

FORMAT = 1
FILE_NAME, ARRAYS_FILE_NAME = "drift.json", "drift.safetensors"
# Rows that fix the bins, and rows that are counted.
MAX_FIT_ROWS, MAX_COUNTED_ROWS = 2_400, 2_400
_MAX_LABELS = 20
_ERROR_QUANTILE = 0.9


@dataclass(frozen=True)
class PredictionReference:
    """Answers on held-out training rows. value, sureness: how to bin them; the latter None where none is given.

    labels: the frequent ones, with how many of `rows` answers each had. sure: mean probability. missed: answers that
    were wrong, or of numbers further off than `miss_above`.
    """

    rows: int
    value_bins: Binning
    confidence_bins: Binning | None
    label_counts: Mapping[str, int]
    mean_confidence: float | None
    n_errors: int
    error_threshold: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "rows": self.rows,
            "labels": dict(self.label_counts),
            "sure": self.mean_confidence,
            "missed": self.n_errors,
            "miss_above": self.error_threshold,
            "value": self.value_bins.as_dict(),
            "sureness": self.confidence_bins.as_dict() if self.confidence_bins else None,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> PredictionReference:
        """Return what `as_dict` wrote."""
        return cls(
            raw["rows"],
            binning_from_dict(raw["value"]),
            binning_from_dict(raw["sureness"]) if raw["sureness"] else None,
            raw["labels"],
            raw["sure"],
            raw["missed"],
            raw["miss_above"],
        )


@dataclass(frozen=True)
class DriftReference:
    """The sketch, the counts of each statistic in the rows it did not see, and the answers on held-out rows."""

    inputs: InputStatistics
    counts: Mapping[str, Sequence[int]]
    rows: int
    predictions: PredictionReference
    unmonitored: Sequence[str]

    def save(self, folder: Path) -> None:
        """Write both files into a bundle's folder, before its manifest is made."""
        from safetensors.numpy import save_file

        said = {
            "format": FORMAT,
            "rows": self.rows,
            "sketch": self.inputs.as_dict(),
            "counts": {key: list(map(int, value)) for key, value in self.counts.items()},
            "answers": self.predictions.as_dict(),
            "not_watched": list(self.unmonitored),
        }
        write_json(folder / FILE_NAME, said)
        if self.inputs.text_model is not None:
            save_file(self.inputs.text_model.arrays(), folder / ARRAYS_FILE_NAME)


def fit_input_reference(
    schema: Schema, columns: Columns, seed: int
) -> tuple[InputStatistics, dict[str, list[int]], int]:
    """Return the sketch of training rows, the counts of the rows that did not make it, and how many those are."""
    rows = len(next(iter(columns.values()), ()))
    order = np.random.default_rng([seed, 1]).permutation(rows)
    learned, counted = np.split(order, [(rows + 1) // 2])
    parts = [
        {name: [cells[i] for i in part.tolist()] for name, cells in columns.items()}
        for part in (learned[:MAX_FIT_ROWS], counted[:MAX_COUNTED_ROWS])
    ]
    sketch = InputStatistics.fit(schema, parts[0], seed)
    bins = sketch.assign_bins(schema, parts[1])
    sizes = {item.key: item.binning.n_bins for item in sketch.statistics}
    counts = {key: np.bincount(found, minlength=sizes[key]).tolist() for key, found in bins.items()}
    return sketch, counts, min(len(counted), MAX_COUNTED_ROWS)


def fit_prediction_reference(
    schema: Schema, truths: Sequence[Any], answers: Sequence[Prediction]
) -> PredictionReference:
    """Return what held-out answers look like."""
    values = [answer.value for answer in answers]
    scores = [answer.score for answer in answers if answer.score is not None]
    sureness = QuantileBins.fit(scores) if scores and len(scores) == len(answers) else None
    sure = round(float(np.mean(scores)), 6) if sureness is not None else None
    if schema.labels:
        counts = dict.fromkeys(schema.labels, 0)
        for value in values:
            counts[value] = counts.get(value, 0) + 1
        frequent = sorted(counts, key=lambda label: -counts[label])[:_MAX_LABELS]
        wrong = sum(value != truth for value, truth in zip(values, truths, strict=True))
        labels = {label: counts[label] for label in frequent}
        return PredictionReference(len(values), FixedBins(schema.labels), sureness, labels, sure, wrong, None)
    if not all(isinstance(value, int | float) for value in [*values, *truths]):
        return PredictionReference(len(values), FixedBins([]), sureness, {}, sure, 0, None)
    off = np.abs(np.asarray(values, dtype=float) - np.asarray(truths, dtype=float))
    # Half of the rows say how far off is bad; the other half are counted.
    limit = float(np.quantile(off[::2], _ERROR_QUANTILE)) if len(off) else 0.0
    missed = int((off[1::2] > limit).sum())
    return PredictionReference(len(off[1::2]), QuantileBins.fit(values), None, {}, None, missed, limit)


def read_reference(bundle: Path) -> DriftReference:
    """Return the reference of a bundle whose files were checked; raises RungError where it has none, BundleError
    where it cannot be read."""
    path = bundle / FILE_NAME
    if not path.is_file():
        raise RungError(
            "this bundle has no reference to hold served rows against: it was built before rung made one",
            str(path),
            "Build it again: rung build. The certificate stays, for the same bundle needs no new look.",
        )
    try:
        from safetensors.numpy import load_file

        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] > FORMAT:
            raise BundleError(
                f"the reference has format {raw['format']}, this rung reads up to {FORMAT}", path.name, "pip install -U rung"
            )  # fmt: skip
        arrays = load_file(bundle / ARRAYS_FILE_NAME) if raw["sketch"]["word_rows"] else {}
        sketch = InputStatistics.from_dict(raw["sketch"], arrays)
        return DriftReference(
            sketch,
            raw["counts"],
            raw["rows"],
            PredictionReference.from_dict(raw["answers"]),
            raw["not_watched"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise BundleError(
            f"the reference cannot be read: {type(error).__name__} {error}",
            path.name,
            "Build the bundle again.",
        ) from None


def make_reference(
    schema: Schema, columns: Columns, truths: Sequence[Any], answers: Sequence[Prediction], seed: int
) -> DriftReference:
    """Return the reference of a model. columns: inputs of its training rows. truths, answers: of held-out ones."""
    sketch, counts, rows = fit_input_reference(schema, columns, seed)
    return DriftReference(
        sketch, counts, rows, fit_prediction_reference(schema, truths, answers), unmonitored_inputs(schema)
    )
