"""Agreement of annotators: Cohen's kappa with a confidence interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from rung.core.stats.intervals import wilson_interval
from rung.data.labels.consensus import Verdict


@dataclass(frozen=True)
class PairAgreement:
    """Agreement of two annotators on the rows that both labelled.

    share: of equal labels. kappa: agreement beyond chance; low, high: its interval.
    """

    one: str
    other: str
    rows: int
    share: float
    kappa: float
    low: float
    high: float


def cohen_kappa(pairs: Sequence[tuple[str, str]], confidence: float = 0.95) -> tuple[float, float, float]:
    """Return Cohen's kappa (1960) of pairs of labels and the ends of its interval.

    The interval is Wilson's for the share of equal labels, transformed with the chance agreement taken as
    known. Unlike the usual standard error it does not become 0 when all labels agree. With a single label
    kappa is 0, because chance would agree too. Raises ValueError without pairs.
    """
    n = len(pairs)
    if not n:
        raise ValueError("no row was labelled by both annotators")
    equal = sum(a == b for a, b in pairs) / n
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(left[name] * right[name] for name in left) / n**2
    low, high = wilson_interval(equal, n, confidence)

    def beyond_chance(share: float) -> float:
        return max((share - chance) / (1 - chance), -1.0)

    if chance == 1:
        return 0.0, -1.0, 1.0
    return beyond_chance(equal), beyond_chance(low), beyond_chance(high)


def pairwise_agreement(found: Iterable[Verdict]) -> list[PairAgreement]:
    """Return the agreement of every two annotators, most common rows first.

    Settled rows count with their original labels.
    """
    both: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for verdict in found:
        for one, other in combinations(sorted(verdict.said), 2):
            both.setdefault((one, other), []).append((verdict.said[one], verdict.said[other]))
    lines = []
    for (one, other), pairs in both.items():
        share = sum(a == b for a, b in pairs) / len(pairs)
        lines.append(PairAgreement(one, other, len(pairs), share, *cohen_kappa(pairs)))
    return sorted(lines, key=lambda line: -line.rows)
