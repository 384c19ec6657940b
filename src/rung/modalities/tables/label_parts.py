"""A table model for sets of labels: one fitted table a label that says yes or no, and the threshold of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.core.model import Reason
from rung.core.types import Columns, Prediction
from rung.modalities.tables.fitted import FittedTable
from rung.runtime.classification.set_answers import set_answers

Floats = npt.NDArray[np.float64]
# The labels of one part: its scores of the second one count.
NO_YES = ("no", "yes")
_FACTS = "label_set.json"


@dataclass(frozen=True)
class LabelParts:
    """parts: of each label, in the order of the schema; None where too few rows have the label, or lack it, to learn from:
    its probability then is its share of the training rows. shares, thresholds: [labels].
    """

    parts: tuple[FittedTable | None, ...]
    shares: Floats
    thresholds: Floats
    chosen: Mapping[str, Any]

    def raw(self, inputs: Columns) -> Floats:
        """Return log odds [rows, labels]."""
        chances = self.probabilities(inputs).clip(1e-12, 1 - 1e-12)
        return np.asarray(np.log(chances / (1.0 - chances)))

    def probabilities(self, inputs: Columns) -> Floats:
        """Return [rows, labels], each label by itself."""
        rows = len(next(iter(inputs.values())))
        columns = [
            np.full(rows, share) if part is None else part.probabilities(inputs)[:, 1]
            for part, share in zip(self.parts, self.shares, strict=True)
        ]
        return np.column_stack(columns)

    def predictions(self, inputs: Columns, labels: Sequence[str], by: str) -> list[Prediction]:
        """Return the set of labels of each row. by: the name of the family."""
        return set_answers(self.probabilities(inputs), labels, self.thresholds.tolist(), by)

    def explain(self, inputs: Columns, labels: Sequence[str], most: int) -> list[list[Reason]]:
        """Return how far each column moved the most probable label of each row towards yes."""
        top = self.probabilities(inputs).argmax(axis=1)
        found: list[list[Reason]] = [[] for _ in top]
        for label in np.unique(top).tolist():
            part, rows = self.parts[label], np.flatnonzero(top == label)
            if part is None:
                continue
            own = {name: [cells[row] for row in rows.tolist()] for name, cells in inputs.items()}
            towards_yes = part.explain(own, NO_YES, most, answer="yes")
            for row, reasons in zip(rows.tolist(), towards_yes, strict=True):
                found[row] = reasons
        return found

    def save(self, folder: Path) -> None:
        for number, part in enumerate(self.parts):
            if part is not None:
                own = folder / _part(number)
                own.mkdir()
                part.save(own)
        facts = {
            "shares": self.shares.tolist(), "thresholds": self.thresholds.tolist(),
            "learned": [part is not None for part in self.parts], "chosen": dict(self.chosen),
        }  # fmt: skip
        (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, inputs: Sequence[str], labels: int) -> LabelParts:
        """Return what `save` wrote; raises BundleError where it does not fit so many labels."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        learned, shares, thresholds = facts["learned"], facts["shares"], facts["thresholds"]
        if not len(learned) == len(shares) == len(thresholds) == labels:
            raise BundleError(f"{len(learned)} parts do not fit {labels} labels", _FACTS, "Build it again.")
        parts = tuple(
            FittedTable.load(folder / _part(number), inputs, len(NO_YES)) if known else None
            for number, known in enumerate(learned)
        )
        return cls(parts, np.array(shares), np.array(thresholds), facts["chosen"])


def _part(number: int) -> str:
    return f"label.{number}"
