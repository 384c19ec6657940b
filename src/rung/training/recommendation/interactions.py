"""What people did, as numbers: each person's items in order, and matrices of people and items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.folds import assign_folds
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.catalogue import Catalogue, Item, read_items
from rung.modalities.recommendation.scorers import Moment

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# History lengths at which steps are compared and parameters chosen; the last share is of all a person did.
LENGTHS, SHARE = (1, 2, 3, 5, 7, 10, 14, 20, 30, 50, 100), 0.8
# People held out for choices within a fit, at most: more would tell little more, and each is ranked many times.
_PARTS, _MOST_JUDGED = 5, 1_000


@dataclass(frozen=True)
class Person:
    """items: columns, each once, oldest first. weights, times: of the same events; times are NaN where not known. about: what is known."""

    items: Ints
    weights: Floats
    times: Floats
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A moment of a person, and the items that came later. person: its place among the people."""

    moment: Moment
    later: frozenset[int]
    person: int


@dataclass(frozen=True)
class Interactions:
    """People and the items of the catalogue. units: what each person is told by, in their order."""

    catalogue: Catalogue
    people: tuple[Person, ...]
    units: tuple[str, ...]

    @cached_property
    def matrix(self) -> Any:
        """Return [people, items] of 0 and 1, sparse, 32-bit floats."""
        from scipy.sparse import csr_matrix

        ends = np.cumsum([0, *(len(person.items) for person in self.people)])
        columns = np.concatenate([p.items for p in self.people]) if self.people else np.zeros(0, np.int64)
        shape = (len(self.people), len(self.catalogue))
        return csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=shape)

    @property
    def counts(self) -> Floats:
        """Return how many people had each item, shape (items,)."""
        return np.asarray(self.matrix.sum(axis=0), np.float64).ravel()

    def take(self, places: Sequence[int]) -> Interactions:
        """Return these people alone, with the same items."""
        people, units = (tuple(found[i] for i in places) for found in (self.people, self.units))
        return replace(self, people=people, units=units)  # type: ignore[arg-type]

    def halves(self) -> tuple[Interactions, Interactions]:
        """Return four fifths of the people to learn from, and of the others at most a thousand; all on both sides where they are too few."""
        part = assign_folds(_PARTS, self.units)
        learn, test = np.flatnonzero(part != 0).tolist(), np.flatnonzero(part == 0).tolist()[:_MOST_JUDGED]
        return (self.take(learn), self.take(test)) if len(learn) > 1 and test else (self, self)

    def cases(self, lengths: Sequence[int] = LENGTHS, share: float | None = SHARE) -> list[Case]:
        """Return the moments of each person at these lengths and at a share of all they did, each length once."""
        found = []
        for number, person in enumerate(self.people):
            events = len(person.items)
            wanted = {*lengths, *([int(share * events)] if share else [])}
            for length in sorted(n for n in wanted if 0 < n < events):
                moment = moment_of(person, length)
                found.append(Case(moment, frozenset(person.items[length:].tolist()), number))
        return found


def moment_of(person: Person, length: int) -> Moment:
    """Return the first events of a person as a request would bring them."""
    last = float(person.times[length - 1])
    when = None if np.isnan(last) else last
    return Moment(person.items[:length], person.weights[:length], when, length, about=person.about)


def interactions(examples: Examples, context: FitContext) -> Interactions:
    """Return what training people did. Each person counts once, by the row that tells most of them: all rows of a table of events tell alike."""
    histories, later = examples.inputs["history"], examples.targets
    first: dict[str, int] = {}
    for row, unit in enumerate(examples.units):
        known = first.setdefault(unit, row)
        if len(histories[row]) + len(later[row]) > len(histories[known]) + len(later[known]):
            first[unit] = row
    events = [[*histories[row], *later[row]] for row in first.values()]
    catalogue = _catalogue(events, context.tables.get("items"))
    contexts = examples.inputs.get("context")
    about = [(contexts[row] or {}).get("user", {}) if contexts is not None else {} for row in first.values()]
    people = [replace(_person(own, catalogue), about=known) for own, known in zip(events, about, strict=True)]
    return Interactions(catalogue, tuple(people), tuple(first))


def count_items(examples: Examples, context: FitContext) -> int:
    """Return how many items a fit would have, before anything is made of them."""
    names = {
        event if isinstance(event, str) else event[0]
        for side in (examples.inputs["history"], examples.targets)
        for events in side
        for event in events
    }
    table = context.tables.get("items")
    return len(names | {item.id for item in read_items(table)}) if table is not None else len(names)


def _person(events: Sequence[Any], catalogue: Catalogue) -> Person:
    """Return the events of a person: of an item that comes again, the first counts."""
    found: dict[int, tuple[float, float]] = {}
    for event in events:
        name, when, weight = (event, None, 1.0) if isinstance(event, str) else event
        found.setdefault(catalogue.place[name], (weight, np.nan if when is None else when))
    items = np.fromiter(found, np.int64, len(found))
    both = np.array([*found.values()], np.float64).reshape(-1, 2)
    return Person(items, both[:, 0], both[:, 1])


def _catalogue(events: Sequence[Sequence[Any]], table: Path | None) -> Catalogue:
    """Return the items, the most common first, then those of the table that nobody had."""
    counts = Counter(event if isinstance(event, str) else event[0] for own in events for event in own)
    known = {item.id: item for item in read_items(table)} if table is not None else {}
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    cold = sorted(name for name in known if name not in counts)
    return Catalogue(tuple(known.get(name) or Item(name) for name in (*ordered, *cold)))
