"""Convert the output of an ONNX model to probabilities of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError, did_you_mean

Scores = npt.NDArray[np.float64]
_FLOATS = {"tensor(float)", "tensor(double)", "tensor(float16)"}
# Tolerated deviation of a row's sum from 1: rounding of half precision.
_ROUNDING = 5e-3


@dataclass(frozen=True)
class Output:
    """One output of a model. labels: in its order; order: position of each of the schema's labels among them."""

    name: str
    labels: tuple[str, ...]
    order: tuple[int, ...]
    scores: Literal["probabilities", "logits"]

    def raw(self, found: Any, where: str) -> Scores:
        """Return the output as [rows, labels in its order], or [rows, 1]; raises RungError if it does not
        fit.
        """
        if isinstance(found, list):
            return np.array([self._of_map(row, where) for row in found], np.float64)
        values = np.asarray(found, np.float64)
        if values.ndim == 1:
            values = values[:, None]
        wanted = {len(self.labels)} | ({1} if len(self.labels) == 2 else set())
        if values.ndim != 2 or values.shape[1] not in wanted:
            raise RungError(
                f"'{self.name}' has the shape {values.shape}, and there are {len(self.labels)} labels",
                where,
                "It must be [rows, labels]; for two labels [rows] or [rows, 1] will do.",
            )
        return values

    def _of_map(self, row: Mapping[Any, float], where: str) -> list[float]:
        """Return a row given as a map from label, or label number, to score."""
        named = {str(key): value for key, value in row.items()}
        if set(named) == set(self.labels):
            return [named[label] for label in self.labels]
        if set(row) == set(range(len(self.labels))):
            return [row[number] for number in range(len(self.labels))]
        raise RungError(
            f"the file answers {', '.join(map(repr, sorted(named)[:8]))}; the data's labels are "
            f"{', '.join(map(repr, self.labels[:8]))}",
            where,
            "Train it on the labels as they stand in the data.",
        )

    def check(self, raw: Scores, where: str) -> None:
        """Raise RungError when the values are not what `scores` says."""
        if not np.isfinite(raw).all():
            raise RungError(
                f"'{self.name}' holds NaN or infinite numbers on training rows", where, "Fix the model."
            )
        likely = _are_probabilities(raw)
        if self.scores == "probabilities" and not likely:
            sums = raw.sum(axis=1)
            values_shown = (
                f"rows sum to {sums.min():.3g} up to {sums.max():.3g}"
                if raw.shape[1] > 1
                else f"numbers go from {raw.min():.3g} to {raw.max():.3g}"
            )
            raise RungError(
                f"'{self.name}' holds no probabilities ({values_shown}): these look like logits",
                where,
                "Write params: {scores: logits}, or export the model with its softmax or sigmoid.",
            )
        if self.scores == "logits" and likely and raw.shape[1] > 1:
            raise RungError(
                f"'{self.name}' holds probabilities already (rows sum to 1)",
                where,
                "Leave out scores: logits.",
            )

    def probabilities(self, raw: Scores) -> Scores:
        """Return [rows, labels of the schema]; rows with non-finite values get equal probabilities."""
        lost = np.asarray(~np.isfinite(raw).all(axis=1), np.bool_)
        raw = np.where(lost[:, None], 0.0, raw)
        if self.scores == "logits":
            both = np.column_stack([np.zeros(len(raw)), raw]) if raw.shape[1] == 1 else raw
            found = np.exp(both - both.max(axis=1, keepdims=True))
        else:
            found = np.clip(np.column_stack([1.0 - raw, raw]) if raw.shape[1] == 1 else raw, 0.0, None)
        found[lost | (found.sum(axis=1) <= 0.0)] = 1.0
        ordered: Scores = (found / found.sum(axis=1, keepdims=True))[:, list(self.order)]
        return ordered


def select_output(
    outputs: Sequence[Any],
    labels: Sequence[str],
    schema_labels: Sequence[str],
    name: str,
    scores: Literal["probabilities", "logits"],
    where: str,
) -> Output:
    """Return the output that holds the scores: the named one, else the only one that fits.

    labels: those the model predicts, in its order; () means the schema's, sorted. Raises RungError when labels or
    output do not fit.
    """
    given = tuple(labels) or tuple(sorted(schema_labels))
    _check_labels(given, schema_labels, where)
    listed = ", ".join(f"'{item.name}' {item.type} {item.shape}" for item in outputs)
    fitting = [item.name for item in outputs if _fits(item, len(given))]
    if name and name not in {item.name for item in outputs}:
        fix = did_you_mean(name, [item.name for item in outputs])
        raise RungError(f"the file has no output called '{name}'", where, fix)
    if not name and len(fitting) != 1:
        reason = (
            f"several outputs fit {len(given)} labels" if fitting else f"no output fits {len(given)} labels"
        )
        fix = "Name one: params: {output: ...}." if fitting else "It must be float [rows, labels]."
        raise RungError(f"{reason}: {listed}", where, fix)
    if name and name not in fitting:
        raise RungError(
            f"the output '{name}' does not fit {len(given)} labels: {listed}",
            where,
            "It must be float [rows, labels].",
        )
    place = {label: number for number, label in enumerate(given)}
    return Output(name or fitting[0], given, tuple(place[label] for label in schema_labels), scores)


def _check_labels(given: Sequence[str], schema_labels: Sequence[str], where: str) -> None:
    twice = sorted({label for label in given if given.count(label) > 1})
    unknown = [label for label in given if label not in schema_labels]
    missing = [label for label in schema_labels if label not in given]
    if twice:
        raise RungError(f"`labels` names '{twice[0]}' twice", where, "Name each once, in the file's order.")
    if unknown:
        fix = did_you_mean(unknown[0], schema_labels)
        raise RungError(f"`labels` names '{unknown[0]}', which no training row has", where, fix)
    if missing:
        raise RungError(
            f"`labels` lacks '{missing[0]}', which the data has",
            where,
            "Name every label of the data in the file's order, and train the file on all of them.",
        )


def _fits(item: Any, labels: int) -> bool:
    """Return whether an output can hold scores of this many labels; a free dimension can."""
    if item.type.startswith("seq(map("):
        return True
    if item.type not in _FLOATS:
        return False
    if len(item.shape) == 1:
        return labels == 2
    if not item.shape:  # the exporter left the shape out: the first run tells
        return True
    width = item.shape[-1]
    return len(item.shape) == 2 and (
        not isinstance(width, int) or width == labels or (width == 1 and labels == 2)
    )


def _are_probabilities(raw: Scores) -> bool:
    inside = bool(((raw >= -_ROUNDING) & (raw <= 1.0 + _ROUNDING)).all())
    return inside and (raw.shape[1] == 1 or bool(np.abs(raw.sum(axis=1) - 1.0).max() < _ROUNDING))
