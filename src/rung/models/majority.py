"""Baseline: always predict the most frequent label, or set of labels. Every other model must beat it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.label_sets import marks_of
from rung.core.model import Cost, DataFacts, FitContext, Model, NoParams
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.runtime.classification.decision_threshold import DecisionThreshold, bayes_threshold
from rung.runtime.classification.set_answers import set_answers

_SETS = "sets.json"


class Majority(Model):
    """Use it as a baseline: if it clears your bar, the bar measures the wrong thing."""

    TASKS = frozenset(
        {
            "text_classification",
            "tabular_classification",
            "text_multilabel",
            "image_multilabel",
            "tabular_multilabel",
        }
    )
    Params = NoParams

    def __init__(
        self,
        labels: tuple[str, ...],
        shares: npt.NDArray[np.float64],
        decision: DecisionThreshold | None = None,
        least_share: float | None = None,
    ) -> None:
        """least_share: of labels that an answer holds, where an answer is a set of labels."""
        self.labels = labels
        self._shares = shares
        self._decision = decision or DecisionThreshold()
        self._least_share = least_share

    @classmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        """Return the shares of the labels with half a row added to each (Jeffreys prior): none is impossible.

        Of sets of labels, every answer holds the most frequent labels, as many as have the best micro-F1.
        """
        if examples.schema.label_set:
            marks = marks_of(examples.targets, examples.schema.label_set)
            counts = marks.sum(axis=0)
            shares = (counts + 0.5) / (len(marks) + 1.0)
            return cls(examples.schema.label_set, shares, None, _best_share(counts, shares, len(marks)))
        labels = examples.schema.labels
        number = {label: i for i, label in enumerate(labels)}
        counts = np.bincount([number[t] for t in examples.targets], minlength=len(labels)) + 0.5
        return cls(labels, counts / counts.sum(), bayes_threshold(examples.schema.costs))

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        rows = len(next(iter(inputs.values())))
        return np.tile(self._shares, (rows, 1))

    def predict(self, inputs: Columns) -> list[Prediction]:
        if self._least_share is not None:
            cuts = [self._least_share] * len(self.labels)
            return set_answers(self.probabilities(inputs), self.labels, cuts, "majority")
        return self._decision.predictions(self.probabilities(inputs), self.labels, "majority")

    def save(self, folder: Path) -> None:
        (folder / "shares.json").write_text(json.dumps(self._shares.tolist()), encoding="utf-8")
        if self._least_share is not None:
            (folder / _SETS).write_text(json.dumps({"least_share": self._least_share}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        shares = json.loads((folder / "shares.json").read_text(encoding="utf-8"))
        found = np.array(shares, dtype=np.float64)
        if schema.label_set:
            facts = json.loads((folder / _SETS).read_text(encoding="utf-8"))
            return cls(schema.label_set, found, None, float(facts["least_share"]))
        return cls(schema.labels, found, bayes_threshold(schema.costs))

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return Cost(fit_seconds=0.01, cpu_seconds_per_1k=0.002, memory_mb=45.0, size_mb=0.01)


def _best_share(counts: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], rows: int) -> float:
    """Return the share from which on labels are in the constant set with the best micro-F1."""
    order = np.argsort(-counts, kind="stable")
    hits, sizes = np.cumsum(counts[order]), np.arange(1, len(order) + 1)
    best = int((2 * hits / (counts.sum() + sizes * rows)).argmax())
    return float(shares[order[best]])
