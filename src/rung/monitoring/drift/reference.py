"""The drift reference that ships with a bundle: distributions of inputs and answers when the model was built.

It consists of `drift.json` and `drift.safetensors`, hashed in the manifest: edges of bins, counts, word
buckets. It contains no text, no row and no value of a row, and is well below 200 KB.

The training rows are split at random into two parts. One fits every function from a row to a bin; the other
is only counted. The counted rows are therefore independent of these functions, as served rows are, and
exchangeability of rows carries over to their bins. Rows that had helped to fit the bins would not be
exchangeable with served rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.errors import UPDATE, BundleError, RungError
from rung.core.files import write_json
from rung.core.label_sets import marks_of
from rung.core.types import Columns, Prediction, Schema
from rung.monitoring.drift.binning import Binning, FixedBins, QuantileBins, binning_from_dict
from rung.monitoring.drift.statistics import InputStatistics

FORMAT = 1
FILE_NAME, ARRAYS_FILE_NAME = "drift.json", "drift.safetensors"
# Most rows that fit the bins, and most rows that are counted.
MAX_FIT_ROWS, MAX_COUNTED_ROWS = 2_400, 2_400
_MAX_LABELS = 20
_ERROR_QUANTILE = 0.9


@dataclass(frozen=True)
class PredictionReference:
    """Distribution of answers on held-out training rows.

    value_bins, confidence_bins: binnings of answers and of their probabilities, None where there are no
    probabilities. label_counts: how many of the `rows` answers had each frequent label. answered_by: how many each family gave, where
    several answer in turn; {} elsewhere. n_errors: wrong
    answers, or numeric answers whose absolute error exceeds `error_threshold`.
    """

    rows: int
    value_bins: Binning
    confidence_bins: Binning | None
    label_counts: Mapping[str, int]
    mean_confidence: float | None
    n_errors: int
    error_threshold: float | None
    answered_by: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "rows": self.rows,
            "labels": dict(self.label_counts),
            "sure": self.mean_confidence,
            "missed": self.n_errors,
            "miss_above": self.error_threshold,
            "answered_by": dict(self.answered_by),
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
            # References of earlier versions do not say.
            raw.get("answered_by", {}),
        )


@dataclass(frozen=True)
class DriftReference:
    """The fitted input statistics, the counts of their bins on other rows, and the answers on held-out rows."""

    inputs: InputStatistics
    counts: Mapping[str, Sequence[int]]
    rows: int
    predictions: PredictionReference
    unmonitored: Sequence[str]

    def save(self, folder: Path) -> None:
        """Write both files into a bundle's folder, before its manifest is written."""
        from safetensors.numpy import save_file

        facts = {
            "format": FORMAT,
            "rows": self.rows,
            "sketch": self.inputs.as_dict(),
            "counts": {key: list(map(int, value)) for key, value in self.counts.items()},
            "answers": self.predictions.as_dict(),
            "not_watched": list(self.unmonitored),
        }
        write_json(folder / FILE_NAME, facts)
        if self.inputs.text_model is not None:
            save_file(self.inputs.text_model.arrays(), folder / ARRAYS_FILE_NAME)


def fit_input_reference(
    schema: Schema, columns: Columns, seed: int
) -> tuple[InputStatistics, dict[str, list[int]], int]:
    """Return the statistics fitted on one part of the rows, the counts of their bins on the other part, and
    its size.
    """
    rows = len(next(iter(columns.values()), ()))
    order = np.random.default_rng([seed, 1]).permutation(rows)
    fitted, counted = np.split(order, [(rows + 1) // 2])
    parts = [
        {name: [cells[i] for i in part.tolist()] for name, cells in columns.items()}
        for part in (fitted[:MAX_FIT_ROWS], counted[:MAX_COUNTED_ROWS])
    ]
    statistics = InputStatistics.fit(schema, parts[0], seed)
    bins = statistics.assign_bins(schema, parts[1])
    sizes = {item.key: item.binning.n_bins for item in statistics.statistics}
    counts = {key: np.bincount(found, minlength=sizes[key]).tolist() for key, found in bins.items()}
    return statistics, counts, min(len(counted), MAX_COUNTED_ROWS)


def fit_prediction_reference(
    schema: Schema, truths: Sequence[Any], answers: Sequence[Prediction]
) -> PredictionReference:
    """Return the distribution of answers on held-out rows. truths, answers: of the same rows."""
    values = [answer.value for answer in answers]
    scores = [answer.score for answer in answers if answer.score is not None]
    bins = QuantileBins.fit(scores) if scores and len(scores) == len(answers) else None
    mean = round(float(np.mean(scores)), 6) if bins is not None else None
    if schema.label_set:
        return _label_set_reference(schema, truths, values, (bins, mean))
    if schema.labels:
        counts = dict.fromkeys(schema.labels, 0)
        for value in values:
            counts[value] = counts.get(value, 0) + 1
        frequent = sorted(counts, key=lambda label: -counts[label])[:_MAX_LABELS]
        n_errors = sum(value != truth for value, truth in zip(values, truths, strict=True))
        labels = {label: counts[label] for label in frequent}
        return PredictionReference(
            len(values), FixedBins(schema.labels), bins, labels, mean, n_errors, None, _answered_by(answers)
        )
    if not all(isinstance(value, int | float) for value in [*values, *truths]):
        return PredictionReference(len(values), FixedBins([]), bins, {}, mean, 0, None)
    errors = np.abs(np.asarray(values, dtype=float) - np.asarray(truths, dtype=float))
    # Half of the rows give the threshold; errors are counted on the other half.
    threshold = float(np.quantile(errors[::2], _ERROR_QUANTILE)) if len(errors) else 0.0
    n_errors = int((errors[1::2] > threshold).sum())
    return PredictionReference(
        len(errors[1::2]), QuantileBins.fit(values), None, {}, None, n_errors, threshold
    )


def _answered_by(answers: Sequence[Prediction]) -> dict[str, int]:
    """Return how many answers each family gave, where more than one did."""
    counts = Counter(answer.answered_by for answer in answers)
    return dict(sorted(counts.items())) if len(counts) > 1 and "" not in counts else {}


def _label_set_reference(
    schema: Schema,
    truths: Sequence[Any],
    values: Sequence[Any],
    sure: tuple[QuantileBins | None, float | None],
) -> PredictionReference:
    """Return the share of answers that hold each frequent label. An answer has no one bin: only shares are tested."""
    marks = marks_of([str(value) for value in values], schema.label_set)
    counts = dict(zip(schema.label_set, marks.sum(axis=0).astype(int).tolist(), strict=True))
    frequent = sorted(counts, key=lambda label: -counts[label])[:_MAX_LABELS]
    n_errors = sum(value != truth for value, truth in zip(values, truths, strict=True))
    shown = {label: counts[label] for label in frequent}
    return PredictionReference(len(values), FixedBins([]), sure[0], shown, sure[1], n_errors, None)


def read_reference(bundle: Path) -> DriftReference:
    """Return the reference of a bundle whose files were verified.

    Raises RungError where the bundle has none, BundleError where it cannot be read.
    """
    path = bundle / FILE_NAME
    if not path.is_file():
        raise RungError(
            "this bundle has no drift reference: it was built by a version of rung that wrote none",
            str(path),
            "Build it again: rung build. The certificate stays valid: the same bundle needs no new look.",
        )
    try:
        from safetensors.numpy import load_file

        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] > FORMAT:
            raise BundleError(
                f"the reference has format {raw['format']}, this rung reads up to {FORMAT}", path.name, UPDATE
            )  # fmt: skip
        arrays = load_file(bundle / ARRAYS_FILE_NAME) if raw["sketch"]["word_rows"] else {}
        inputs = InputStatistics.from_dict(raw["sketch"], arrays)
        predictions = PredictionReference.from_dict(raw["answers"])
        return DriftReference(inputs, raw["counts"], raw["rows"], predictions, raw["not_watched"])
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise BundleError(
            f"the reference cannot be read: {type(error).__name__} {error}",
            path.name,
            "Build the bundle again.",
        ) from None
