"""How much each item fits a history, in numpy alone: sums of sparse rows, products of small matrices.

Every scorer is arrays and a few settings, so that it can ship by itself or as a step of a cascade.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rung.modalities.recommendation.sparse_rows import SparseRows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[Any]]
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True)
class Moment:
    """A history as scorers get it. items: columns of known items, each once, in the order of their last event.

    weights: of those events, summed over the events of an item. last: time of the last event that has one, None where none has.
    length: events as sent, unknown items and repeats included. unknown: ids that the model does not know.
    about: what is known of the user.
    """

    items: Ints
    weights: Floats
    last: float | None
    length: int
    unknown: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)


class Scorer(ABC):
    """Scores every item for a history of at least one known item. name: under which it is stored."""

    name: ClassVar[str]

    @abstractmethod
    def scores(self, moment: Moment) -> tuple[str, Floats]:
        """Return who answered, and a score of every item, shape (items,), higher is better."""

    @abstractmethod
    def behind(self, moment: Moment, items: Ints) -> Floats:
        """Return how much each item of the history speaks for some items, [items of the history, items]."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """Return what is stored beside the settings."""

    def settings(self) -> dict[str, Any]:
        """Return numbers and names, ready for JSON."""
        return {}

    @classmethod
    @abstractmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        """Return what `arrays` and `settings` gave; popular: [items], scores of what is popular. Raises KeyError, ValueError."""


class Popular(Scorer):
    """The same list for everyone, seen items aside."""

    name = "popularity"

    def __init__(self, popular: Floats) -> None:
        self._popular = popular

    def scores(self, moment: Moment) -> tuple[str, Floats]:
        return self.name, self._popular

    def behind(self, moment: Moment, items: Ints) -> Floats:
        return np.zeros((len(moment.items), len(items)))

    def arrays(self) -> Arrays:
        return {}

    @classmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        return cls(popular)


class ItemSums(Scorer):
    """The sum of a sparse row for each item of the history: neighbours, sparse EASE, transitions.

    recent: how many of the last items count; 0 for all. decay: weight of each item against the one after it. prior: of
    what is popular, added to the sum.
    """

    name = "item_sums"

    def __init__(
        self,
        rows: SparseRows,
        popular: Floats,
        by: str,
        recent: int = 0,
        decay: float = 1.0,
        prior: float = 0.0,
    ) -> None:
        self._rows, self._popular, self._by = rows, popular, by
        self._recent, self._decay, self._prior = recent, decay, prior

    def scores(self, moment: Moment) -> tuple[str, Floats]:
        items, weights = self._asked(moment)
        found = self._rows.weighted_sum(items, weights)
        return self._by, found + self._prior * self._popular if self._prior else found

    def _asked(self, moment: Moment) -> tuple[Ints, Floats]:
        items = moment.items[-self._recent :] if self._recent else moment.items
        weights = (
            np.ones(len(items)) if self._decay == 1.0 else self._decay ** np.arange(len(items) - 1, -1, -1.0)
        )
        return items, weights

    def behind(self, moment: Moment, items: Ints) -> Floats:
        own, weights = self._asked(moment)
        found = np.zeros((len(moment.items), len(items)))
        found[len(moment.items) - len(own) :] = self._rows.entries(own, items) * weights[:, None]
        return found

    def arrays(self) -> Arrays:
        return self._rows.arrays("rows")

    def settings(self) -> dict[str, Any]:
        return {"by": self._by, "recent": self._recent, "decay": self._decay, "prior": self._prior}

    @classmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        return cls(SparseRows.from_arrays(arrays, "rows"), popular, **settings)


class DenseSums(Scorer):
    """The sum of a dense row for each item of the history: EASE as published. weights: [items, items]."""

    name = "dense_sums"

    def __init__(self, weights: npt.NDArray[np.float32], by: str) -> None:
        self._weights, self._by = weights, by

    def scores(self, moment: Moment) -> tuple[str, Floats]:
        return self._by, self._weights[moment.items].sum(axis=0, dtype=np.float64)

    def behind(self, moment: Moment, items: Ints) -> Floats:
        return np.asarray(self._weights[np.ix_(moment.items, items)], np.float64)

    def arrays(self) -> Arrays:
        return {"weights": self._weights}

    def settings(self) -> dict[str, Any]:
        return {"by": self._by}

    @classmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        return cls(arrays["weights"], **settings)


class LowRank(Scorer):
    """What follows on a history, as a linear map of low rank around the mean: `base + (x - mean) left right`.

    x: [items] of 0 and 1. left: [items, rank]. right: [rank, items]. base, mean: [items].
    """

    name = "low_rank"

    def __init__(
        self, left: npt.NDArray[Any], right: npt.NDArray[Any], base: Floats, mean: Floats, by: str
    ) -> None:
        self._left, self._right = left.astype(np.float16), right.astype(np.float16)
        self._base, self._mean, self._by = base.astype(np.float32), mean.astype(np.float32), by
        # As stored, in the precision of a fast product; what the mean gives is the same for every request.
        self._wide = self._right.astype(np.float32)
        self._offset = self._mean @ self._left.astype(np.float32)

    def scores(self, moment: Moment) -> tuple[str, Floats]:
        inner = self._left[moment.items].sum(axis=0, dtype=np.float32) - self._offset
        return self._by, (self._base + inner @ self._wide).astype(np.float64)

    def behind(self, moment: Moment, items: Ints) -> Floats:
        return np.asarray(self._left[moment.items].astype(np.float32) @ self._wide[:, items], np.float64)

    def arrays(self) -> Arrays:
        return {"left": self._left, "right": self._right, "base": self._base, "mean": self._mean}

    def settings(self) -> dict[str, Any]:
        return {"by": self._by}

    @classmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        base, mean = (arrays[name].astype(np.float64) for name in ("base", "mean"))
        return cls(arrays["left"], arrays["right"], base, mean, **settings)


class FoldIn(Scorer):
    """Factors of items; the user's are solved for at the request (Hu, Koren & Volinsky 2008).

    factors: [items, rank]. ridge, confidence: of the fit.
    """

    name = "fold_in"

    def __init__(self, factors: npt.NDArray[Any], ridge: float, confidence: float, by: str) -> None:
        self._factors = factors.astype(np.float32)
        self._ridge, self._confidence, self._by = ridge, confidence, by
        wide = self._factors.astype(np.float64)
        self._gram = wide.T @ wide + ridge * np.eye(wide.shape[1])

    def _solved(self, moment: Moment) -> tuple[Floats, Floats]:
        """Return the factors of the history's items, and the inverse of the user's system."""
        own = self._factors[moment.items].astype(np.float64)
        return own, np.asarray(np.linalg.inv(self._gram + self._confidence * own.T @ own), np.float64)

    def scores(self, moment: Moment) -> tuple[str, Floats]:
        own, inverse = self._solved(moment)
        user = inverse @ ((1.0 + self._confidence) * own.sum(axis=0))
        return self._by, np.asarray(self._factors @ user.astype(np.float32), np.float64)

    def behind(self, moment: Moment, items: Ints) -> Floats:
        own, inverse = self._solved(moment)
        return np.asarray((1.0 + self._confidence) * own @ (inverse @ self._factors[items].T), np.float64)

    def arrays(self) -> Arrays:
        return {"factors": self._factors}

    def settings(self) -> dict[str, Any]:
        return {"ridge": self._ridge, "confidence": self._confidence, "by": self._by}

    @classmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        return cls(arrays["factors"], **settings)


class Alike(Scorer):
    """Items whose content is like that of the history, and popular: also items that nobody had.

    vectors: [items, width], each of length 1 or 0. prior: weight of what is popular, on a scale of 0 to 1.
    """

    name = "alike"

    def __init__(self, vectors: npt.NDArray[Any], popular: Floats, prior: float, by: str) -> None:
        self._vectors, self._prior, self._by = vectors.astype(np.float16), prior, by
        self._wide = self._vectors.astype(np.float32)
        self._base = np.log1p(np.maximum(popular, 0.0)) / max(
            float(np.log1p(max(popular.max(initial=0.0), 0.0))), 1e-9
        )

    def with_vectors(self, vectors: npt.NDArray[np.float32]) -> Alike:
        """Return the scorer with more items behind the others; they count as popular as an item does on average."""
        found = copy(self)
        found._vectors = np.concatenate([self._vectors, vectors.astype(np.float16)])
        found._wide = found._vectors.astype(np.float32)
        found._base = np.concatenate([self._base, np.full(len(vectors), self._base.mean())])
        return found

    def scores(self, moment: Moment) -> tuple[str, Floats]:
        user = self._wide[moment.items].mean(axis=0)
        return self._by, np.asarray(self._wide @ user + self._prior * self._base, np.float64)

    def behind(self, moment: Moment, items: Ints) -> Floats:
        return np.asarray(self._wide[moment.items] @ self._wide[items].T, np.float64)

    def arrays(self) -> Arrays:
        return {"vectors": self._vectors}

    def settings(self) -> dict[str, Any]:
        return {"prior": self._prior, "by": self._by}

    @classmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        return cls(arrays["vectors"], popular, **settings)


class ByLength(Scorer):
    """Steps by the length of the history: the step of the last band that begins at or below it answers.

    parts: scorers by name. bands: (known items from which it answers, step), in order; the first begins at 1. A step is one part, or
    several, "a+b": their scores are standardised over all items and added up.
    """

    name = "by_length"

    def __init__(self, parts: Mapping[str, Scorer], bands: tuple[tuple[int, str], ...]) -> None:
        if not bands or any(part not in parts for _, step in bands for part in step.split("+")):
            raise ValueError("a band names a part that is not there")
        self._parts, self._bands = dict(parts), bands

    def step(self, moment: Moment) -> str:
        """Return the step that answers."""
        reached = [step for begin, step in self._bands if begin <= len(moment.items)]
        return reached[-1] if reached else self._bands[0][1]

    def scores(self, moment: Moment) -> tuple[str, Floats]:
        step = self.step(moment)
        found = {part: self._parts[part].scores(moment)[1] for part in step.split("+")}
        return step, together(found)

    def behind(self, moment: Moment, items: Ints) -> Floats:
        total = np.zeros((len(moment.items), len(items)))
        for part in self.step(moment).split("+"):
            scorer = self._parts[part]
            total += scorer.behind(moment, items) / max(float(scorer.scores(moment)[1].std()), _LEAST_SPREAD)
        return total

    def arrays(self) -> Arrays:
        return {
            f"{name}/{key}": value
            for name, part in self._parts.items()
            for key, value in part.arrays().items()
        }

    def settings(self) -> dict[str, Any]:
        parts = {
            name: {"scorer": part.name, "settings": part.settings()} for name, part in self._parts.items()
        }
        return {"bands": [list(band) for band in self._bands], "parts": parts}

    @classmethod
    def of(cls, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Self:
        parts = {}
        for name, part in settings["parts"].items():
            own = {key.removeprefix(f"{name}/"): a for key, a in arrays.items() if key.startswith(f"{name}/")}
            parts[name] = scorer_from(part["scorer"], own, part["settings"], popular)
        return cls(parts, tuple((int(begin), str(step)) for begin, step in settings["bands"]))


def together(scores: Mapping[str, Floats]) -> Floats:
    """Return the scores of one part as they are, and of several standardised over the items and added up."""
    if len(scores) == 1:
        return next(iter(scores.values()))
    total = np.zeros(len(next(iter(scores.values()))))
    for found in scores.values():
        total += (found - found.mean()) / max(float(found.std()), _LEAST_SPREAD)
    return total


SCORERS: Mapping[str, type[Scorer]] = {
    scorer.name: scorer for scorer in (Popular, ItemSums, DenseSums, LowRank, FoldIn, Alike, ByLength)
}


def scorer_from(name: str, arrays: Arrays, settings: Mapping[str, Any], popular: Floats) -> Scorer:
    """Return the scorer of a name from what it stored; raises KeyError or ValueError where it cannot be read."""
    return SCORERS[name].of(arrays, settings, popular)
