"""What is popular, corrected by exposure: an item that stood in front everywhere has clicks that it did not earn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rung.modalities.recommendation.impressions import Shown
from rung.training.recommendation.interactions import Floats, Interactions
from rung.training.recommendation.judging import by_person, values

# Expected clicks with which an item's own are believed half.
_PRIOR = 10.0
# A correction is used if it is better by so many standard errors of the paired difference.
_CLEARER = 1.0


def corrected(people: Interactions, learn: Floats, whole: Floats, table: Path | None) -> tuple[Floats, str]:
    """Return what is popular, and how it was corrected: "", or `times_appeal` or `appeal` where that is better on people held out.

    learn, whole: scores among the people learned from, and among all. table: counted impressions; None without any.
    """
    if table is None:
        return whole, ""
    appeal = Shown.load(table).appeal(_PRIOR)
    factor = np.array([appeal.get(item.id, 1.0) for item in people.catalogue.items], np.float64)
    _, test = people.halves()
    cases, allowed = test.cases((1, 5, 10, 20)), people.catalogue.available
    if len(cases) < 2:
        return whole, ""
    plain = by_person(values(lambda _: learn, cases, allowed), cases)
    best, gain = "", 0.0
    for name, scores in (("times_appeal", learn * factor), ("appeal", factor)):
        ahead = by_person(values(lambda _, own=scores: own, cases, allowed), cases) - plain  # type: ignore[misc]
        error = float(ahead.std(ddof=1)) / np.sqrt(len(ahead)) if len(ahead) > 1 else np.inf
        if float(ahead.mean()) > max(_CLEARER * error, gain):
            best, gain = name, float(ahead.mean())
    return (whole * factor if best == "times_appeal" else factor if best else whole), best
