"""The cascade by history length: which step answers from which length on, chosen on people held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.recommendation.scorers import Scorer, together
from rung.training.recommendation.interactions import Case, Floats, Interactions
from rung.training.recommendation.judging import by_person, values

# Bands of history lengths begin at these numbers of known items.
BANDS = (1, 2, 4, 7, 14, 25, 50, 100)
_FEWEST_PEOPLE = 20
# A dearer step answers a band only if it is better by so many standard errors of the paired difference.
_CLEARER = 1.0


def choose_bands(
    parts: Mapping[str, Scorer], steps: Sequence[str], cases: Sequence[Case], people: Interactions
) -> tuple[tuple[tuple[int, str], ...], list[dict[str, Any]]]:
    """Return (first length, step) of each band that changes the step, and what each step scored in each band.

    parts: fitted on other people than those of the cases. steps: parts, or several with "+" between them, the cheapest first. Within
    a band the cheapest step stands until a dearer one is better by more than a standard error of the difference, people
    counting alike: a step that is not known to be better is not paid for, and newcomers never get one that is worse on average. A
    band of fewer than 20 people has no step of its own: it goes on with that of the band before.
    """
    found, told = list[tuple[int, str]](), list[dict[str, Any]]()
    allowed = people.catalogue.available
    for number, begin in enumerate(BANDS):
        end = BANDS[number + 1] if number + 1 < len(BANDS) else None
        own = [
            c for c in cases if len(c.moment.items) >= begin and (end is None or len(c.moment.items) < end)
        ]
        persons = len({case.person for case in own})
        if persons < _FEWEST_PEOPLE:
            continue
        score = _scores(parts, steps, own, allowed)
        best = _cheapest(score)
        told.append(
            {
                "from": begin,
                "people": persons,
                "step": best,
                **{n: round(float(v.mean()), 4) for n, v in score.items()},
            }
        )
        if not found or found[-1][1] != best:
            found.append((begin if found else 1, best))
    return tuple(found) or ((1, steps[0]),), told


def _scores(
    parts: Mapping[str, Scorer], steps: Sequence[str], cases: Sequence[Case], allowed: npt.NDArray[np.bool_]
) -> dict[str, Floats]:
    """Return the values of each step, a person each. Case by case: the scores of all items are many numbers."""
    found = {step: np.zeros(len(cases)) for step in steps}
    for place, case in enumerate(cases):
        known = {name: part.scores(case.moment)[1] for name, part in parts.items()}
        for step in steps:
            whole = together({part: known[part] for part in step.split("+")})
            found[step][place] = values(lambda _, whole=whole: whole, [case], allowed)[0]  # type: ignore[misc]
    return {step: by_person(each, cases) for step, each in found.items()}


def _cheapest(score: Mapping[str, Floats]) -> str:
    names = list(score)
    best = names[0]
    for name in names[1:]:
        ahead = score[name] - score[best]
        error = float(ahead.std(ddof=1)) / np.sqrt(len(ahead))
        if float(ahead.mean()) > _CLEARER * error:
            best = name
    return best
