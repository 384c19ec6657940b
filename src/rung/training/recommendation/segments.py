"""Chooses by which column of users, if by any, what is popular is told apart: on people it was not counted on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rung.modalities.recommendation.scorers import Moment
from rung.modalities.recommendation.segments import Segments
from rung.training.recommendation.interactions import Floats, Interactions
from rung.training.recommendation.judging import by_person, values

# A segment of fewer people has no list of its own, and one of so many is believed half.
_FEWEST_PEOPLE, _PRIOR = 20, 100.0
_MOST_SEGMENTS = 50
# A column is used if it is better by so many standard errors of the paired difference.
_CLEARER = 1.0

Count = Callable[[Interactions], Floats]


def best_segments(people: Interactions, count: Count) -> Segments | None:
    """Return what is popular by the column of users that is best on people held out; None where none beats one list for all.

    count: the score of each item among some people.
    """
    columns = sorted({column for person in people.people for column in person.about})
    if not columns:
        return None
    learn, test = people.halves()
    cases, allowed = test.cases((1, 5, 10, 20)), people.catalogue.available
    if not cases:
        return None
    overall = count(learn)
    plain = by_person(values(lambda moment: overall, cases, allowed), cases)
    best, gain = "", 0.0
    for column in columns:
        found = _by_column(learn, column, count)
        if found is None:
            continue
        ahead = by_person(values(_scores(found, overall), cases, allowed), cases) - plain
        error = float(ahead.std(ddof=1)) / np.sqrt(len(ahead)) if len(ahead) > 1 else np.inf
        mean = float(ahead.mean())
        if mean > _CLEARER * error and mean > gain:
            best, gain = column, mean
    return _by_column(people, best, count) if best else None


def _scores(found: Segments, overall: Floats) -> Callable[[Moment], Floats]:
    def scores(moment: Moment) -> Floats:
        own = found.of(moment.about)
        return overall if own is None else own

    return scores


def _by_column(people: Interactions, column: str, count: Count) -> Segments | None:
    """Return what is popular by a column: the shares of a segment, drawn towards those of all the more the smaller it is."""
    members: dict[str, list[int]] = {}
    for place, person in enumerate(people.people):
        if column in person.about:
            members.setdefault(person.about[column], []).append(place)
    large = sorted(value for value, places in members.items() if len(places) >= _FEWEST_PEOPLE)
    if not 2 <= len(large) <= _MOST_SEGMENTS:
        return None
    whole = count(people)
    shares = whole / max(float(whole.sum()), 1e-12)
    rows = []
    for value in large:
        own = count(people.take(members[value]))
        own = own / max(float(own.sum()), 1e-12)
        weight = len(members[value]) / (len(members[value]) + _PRIOR)
        rows.append(weight * own + (1.0 - weight) * shares)
    return Segments(column, tuple(large), np.array(rows, np.float32))
