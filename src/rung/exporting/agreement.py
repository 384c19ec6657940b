"""How often an export answers as the server does: counts, an exact lower bound, and the largest difference.

The rows are taken as drawn at random from the rows that the export will meet. Each is answered by both sides, so the number of
equal answers is binomial, and Clopper and Pearson's bound is exact at every size. It is one bound of one export: where several
targets are written at once, each has a bound of its own at the stated confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.core.stats.confidence_bounds import proportion_lower
from rung.core.types import Prediction
from rung.serving.same_answers import is_close

# Of the rows, answered equally: less, and an export is not written.
REQUIRED = 0.995
CONFIDENCE = 0.95
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9
# Places of rows that are answered otherwise, shown in the report.
_SHOWN = 10


@dataclass(frozen=True)
class TargetAnswer:
    """An answer of an export: a label, a set of labels or a number, and the probability of each label where it has them.

    problem: why it refused the row; "" where it answered.
    """

    value: Any
    probabilities: Sequence[float] = ()
    problem: str = ""


@dataclass(frozen=True)
class Agreement:
    """rows, equal: counts. lower: bound of the share of equal answers. largest_difference: of a probability, or of a number
    relative to its size. differing: places of rows answered otherwise, the first ten.
    """

    rows: int
    equal: int
    lower: float
    largest_difference: float
    refused: int = 0
    differing: Sequence[dict[str, Any]] = field(default_factory=tuple)

    @property
    def share(self) -> float:
        return self.equal / self.rows if self.rows else 0.0

    @property
    def is_enough(self) -> bool:
        return self.share >= REQUIRED

    def as_dict(self) -> dict[str, Any]:
        """Return the agreement for JSON; the bound is rounded down."""
        return {
            "rows": self.rows, "equal": self.equal, "share": math.floor(self.share * 1e6) / 1e6,
            "lower_bound": math.floor(self.lower * 1e5) / 1e5, "confidence": CONFIDENCE, "refused": self.refused,
            "largest_difference": float(f"{self.largest_difference:.3g}"), "differing": list(self.differing),
        }  # fmt: skip


def compare(expected: Sequence[Prediction], found: Sequence[TargetAnswer]) -> Agreement:
    """Return how the answers of an export agree with the server's to the same rows, in the same order.

    Raises ValueError where their numbers differ: an export that loses a row must not look as if it agreed.
    """
    if len(expected) != len(found):
        raise ValueError(f"{len(found)} answers to {len(expected)} rows")
    equal = refused = 0
    largest = 0.0
    differing: list[dict[str, Any]] = []
    for place, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
        refused += bool(theirs.problem)
        if not theirs.problem and same_value(ours.value, theirs.value):
            equal += 1
        elif len(differing) < _SHOWN:
            shown = {"expected": ours.value, "got": theirs.problem or theirs.value}
            differing.append({"row": place, **shown})
        if not theirs.problem:
            largest = max(largest, _difference(ours, theirs))
    return Agreement(
        len(expected), equal, proportion_lower(equal, len(expected), 1 - CONFIDENCE), largest, refused, differing
    )  # fmt: skip


def same_value(ours: Any, theirs: Any) -> bool:
    """Return whether two answers are equal; numbers may differ by a millionth of their size."""
    if _is_number(ours) and _is_number(theirs):
        return math.isclose(ours, theirs, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return is_close(ours, theirs)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _difference(ours: Prediction, theirs: TargetAnswer) -> float:
    expected = ours.extra.get("probabilities")
    if expected is not None and len(theirs.probabilities) == len(expected):
        return max(abs(float(a) - float(b)) for a, b in zip(expected, theirs.probabilities, strict=True))
    if _is_number(ours.value) and _is_number(theirs.value):
        return float(abs(ours.value - theirs.value) / max(abs(ours.value), 1.0))
    return 0.0
