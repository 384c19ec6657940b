"""Metrics of ranked lists: one value a row in a known range, and how lists spread over the catalogue.

A row is a user at a history length; its value depends on that user alone. The value of a user is the mean over their
rows, so users held out by a keyed hash give independent values in the range, whatever the lengths of their
histories and however their rows depend on each other. The bound of a bounded mean is then exact for users
(`core.stats.confidence_bounds.mean_lower`). `lift@k` is a paired difference: both lists answer the same row, so what makes
a row easy or hard cancels, and the mean over users is bounded without an assumption on either list.

Definitions are those of trec_eval: a list is cut at k; an item is relevant or not; nDCG has the gain 1 and the discount
1 / log2(rank + 1), against the best order of all relevant items; average precision divides by the number of relevant items.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rung.core.metrics.base import Answers, FloatArray, MeanMetric, Metric, Truths
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.recommendation.events import items_of

# The range of novelty in bits: see `Recommender`.
MOST_BITS = 20.0


def ndcg(relevant: frozenset[str], items: Sequence[str], k: int) -> float:
    """Return the normalised discounted cumulative gain of a list cut at k, in [0, 1] (Jarvelin & Kekalainen 2002)."""
    gain = math.fsum(1.0 / math.log2(rank + 2) for rank, item in enumerate(items[:k]) if item in relevant)
    best = math.fsum(1.0 / math.log2(rank + 2) for rank in range(min(k, len(relevant))))
    return gain / best if best else 0.0


def recall(relevant: frozenset[str], items: Sequence[str], k: int) -> float:
    """Return the share of relevant items that stand among the first k."""
    return len(relevant.intersection(items[:k])) / len(relevant) if relevant else 0.0


def hit(relevant: frozenset[str], items: Sequence[str], k: int) -> float:
    """Return 1 where a relevant item stands among the first k."""
    return float(not relevant.isdisjoint(items[:k]))


def reciprocal_rank(relevant: frozenset[str], items: Sequence[str], k: int) -> float:
    """Return 1 over the rank of the first relevant item among the first k; 0 for none."""
    return next((1.0 / rank for rank, item in enumerate(items[:k], 1) if item in relevant), 0.0)


def average_precision(relevant: frozenset[str], items: Sequence[str], k: int) -> float:
    """Return the mean, over relevant items, of the precision at the rank of each; 0 for those not among the first k."""
    found, total = 0, 0.0
    for rank, item in enumerate(items[:k], 1):
        if item in relevant:
            found += 1
            total += found / rank
    return total / len(relevant) if relevant else 0.0


OfList = Callable[[frozenset[str], Sequence[str], int], float]
OF_LIST: Mapping[str, OfList] = {
    "ndcg": ndcg, "recall": recall, "hit_rate": hit, "mrr": reciprocal_rank, "map": average_precision,
}  # fmt: skip


class ListMetric(MeanMetric):
    """The mean over users of a measure of the list cut at k."""

    def __init__(self, name: str, of: OfList, k: int) -> None:
        super().__init__(
            name, lambda truth, answer: of(relevant_of(truth), items_of(answer.value), k), of is hit
        )


class Lift(MeanMetric):
    """The mean over users of nDCG@k minus that of what is popular, for the same history."""

    least = -1.0

    def __init__(self, name: str, k: int) -> None:
        def value(truth: Any, answer: Prediction) -> float:
            relevant = relevant_of(truth)
            return ndcg(relevant, items_of(answer.value), k) - ndcg(relevant, answer.extra["popular"], k)

        super().__init__(name, value)


class Novelty(MeanMetric):
    """The mean surprise of suggestions, in bits: how rare they are among all events."""

    greatest = MOST_BITS

    def __init__(self) -> None:
        super().__init__("novelty", lambda truth, answer: float(answer.extra["novelty"]))


class Variety(MeanMetric):
    """How unlike each other the items of a list are, by their categories, on average over pairs."""

    def __init__(self) -> None:
        super().__init__("variety", lambda truth, answer: float(answer.extra["variety"]))


class CatalogueMetric(Metric):
    """A metric of all lists together, which is no mean over users: its bound is estimated."""


class CatalogueCoverage(CatalogueMetric):
    """The share of the items that stand in at least one list; it grows with the number of users asked."""

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        shown = {item for answer in answers for item in items_of(answer.value)}
        return len(shown) / max((answer.extra["catalogue"] for answer in answers), default=1)


class ExposureGini(CatalogueMetric):
    """How unequally the places of lists are spread over the items: 0 all alike, near 1 a few have them all."""

    higher_is_better = False

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        items = max((answer.extra["catalogue"] for answer in answers), default=0)
        shown = Counter(item for answer in answers for item in items_of(answer.value))
        counts = np.sort(np.array([*shown.values(), *[0] * (items - len(shown))], dtype=np.float64))
        total = counts.sum()
        if not total:
            return 0.0
        ranks = np.arange(1, len(counts) + 1)
        return float((2 * ranks - len(counts) - 1) @ counts / (len(counts) * total))


class AtLength(Metric):
    """Another metric over the rows of one history length alone, written `ndcg@10:after=5`."""

    def __init__(self, name: str, of: MeanMetric, length: int) -> None:
        super().__init__(name)
        self._of, self._length = of, length
        self.least, self.greatest, self.higher_is_better = of.least, of.greatest, of.higher_is_better

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        picked = self._places(answers)
        return self._of.score([truths[i] for i in picked], [answers[i] for i in picked], schema)

    def bound(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        # Which rows have the length depends on the users' events, not on any answer.
        picked = self._places(answers)
        if not picked:
            return Bound(self.least if self.higher_is_better else self.greatest, exact=True)
        rows = [truths[i] for i in picked], [answers[i] for i in picked]
        return self._of.bound(*rows, schema, [units[i] for i in picked], alpha)

    def _places(self, answers: Answers) -> list[int]:
        return [place for place, answer in enumerate(answers) if answer.extra["events"] == self._length]


def relevant_of(truth: Any) -> frozenset[str]:
    """Return the items of a target: events, or plain ids."""
    return frozenset(items_of(truth))


def paired_values(truths: Truths, answers: Answers, k: int) -> tuple[FloatArray, FloatArray]:
    """Return nDCG@k of each row: of the answer, and of what is popular."""
    sets = [relevant_of(truth) for truth in truths]
    ours = [ndcg(s, items_of(a.value), k) for s, a in zip(sets, answers, strict=True)]
    popular = [ndcg(s, a.extra["popular"], k) for s, a in zip(sets, answers, strict=True)]
    return np.array(ours, np.float64), np.array(popular, np.float64)
