"""Which columns a rung's answers hang on, measured on rows held out of its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.core.kind import kind
from rung.core.metrics.base import Metric
from rung.core.metrics.scored import ScoredRows, score
from rung.core.types import Examples, Prediction

_MOST_ROWS, _SECONDS = 1_000, 5.0
_SHOWN, _DRAWN, _POINTS = 20, 3, 9


class Importance:
    """Collects what shuffling a column costs; call it with a fold's model, its held-out rows and its answers.

    Permutation importance (Breiman 2001) of the first fold alone, for inputs of two columns or more, as many rows as
    can be afforded. seconds_per_answer: as planned, so that a build finds the same again.
    """

    def __init__(self, metric: Metric, seconds_per_answer: float) -> None:
        self._metric = metric
        self._each = max(seconds_per_answer, 1e-9)
        self._found: dict[str, Any] = {}

    def __call__(self, model: Any, rows: Examples, answers: Sequence[Prediction]) -> None:
        # What a row may lack says how it is asked, not what.
        names = [field.name for field in rows.schema.inputs if not kind(field.kind).is_optional]
        if self._found or len(names) < 2:
            return
        most = min(_MOST_ROWS, int(_SECONDS / self._each / len(names)))
        if most < 50:
            return
        picked = list(range(0, len(rows), max(-(-len(rows) // most), 1)))
        rows, answers = rows.take(picked), [answers[i] for i in picked]
        base = self._score(rows, answers)
        order = np.random.default_rng(0).permutation(len(rows)).tolist()
        shuffled = rows.take(order)
        drops = []
        for name in names:
            mixed = {**rows.inputs, name: shuffled.inputs[name]}
            drops.append((base - self._score(rows, model.predict(mixed)), name))
        drops.sort(key=lambda item: (-item[0], item[1]))
        self._found = {
            "metric": self._metric.name,
            "rows": len(rows),
            "columns": [{"name": name, "worse": round(drop, 5)} for drop, name in drops[:_SHOWN]],
            "dependence": self._dependence(model, rows, [name for drop, name in drops if drop > 0]),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the columns by what shuffling them costs, and how answers move with the first few; {} for none."""
        return self._found

    def _score(self, rows: Examples, answers: Sequence[Prediction]) -> float:
        found = score(self._metric, ScoredRows.of(rows, answers))
        return found if self._metric.higher_is_better else -found

    def _dependence(self, model: Any, rows: Examples, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the mean answer by the value of a column of numbers (partial dependence, Friedman 2001)."""
        numbers = {f.name for f in rows.schema.inputs if f.kind == "number"}
        found = []
        for name in [name for name in names if name in numbers][:_DRAWN]:
            column = np.array(rows.inputs[name], dtype=np.float64)
            filled = column[~np.isnan(column)]
            if not len(filled):
                continue
            grid = np.unique(np.quantile(filled, np.linspace(0.05, 0.95, _POINTS)))
            points = []
            for value in grid.tolist():
                answers = model.predict({**rows.inputs, name: np.full(len(rows), value)})
                points.append([round(value, 6), _mean(answers)])
            found.append({"name": name, "points": points})
        return found


def _mean(answers: Sequence[Prediction]) -> float:
    """Return the mean number, or the mean probability of the last label."""
    said = [a.extra["probabilities"][-1] if "probabilities" in a.extra else a.value for a in answers]
    return float(f"{float(np.mean(said)):.6g}")
