"""Do two people mean the same by a label? Cohen's kappa with an interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

from rung.data.labels.consensus import Verdict


@dataclass(frozen=True)
class PairAgreement:
    """Agreement of two people on rows that both labelled. share: of equal labels; kappa: beyond chance; low, high: of kappa."""

    one: str
    other: str
    rows: int
    share: float
    kappa: float
    low: float
    high: float


def cohen_kappa(pairs: Sequence[tuple[str, str]], confidence: float = 0.95) -> tuple[float, float, float]:
    """Return Cohen's kappa (1960) of pairs of labels, with the ends of its interval.

    The interval is Wilson's for the share of equal labels, carried over with chance agreement taken as known: unlike
    the usual standard error it does not shrink to nothing where all labels agree. One label throughout: kappa is 0,
    as chance would agree too. Raises ValueError without pairs.
    """
    n = len(pairs)
    if not n:
        raise ValueError("no row was labelled by both")
    equal = sum(a == b for a, b in pairs) / n
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(left[name] * right[name] for name in left) / n**2
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre, wide = (equal + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n)
    half = wide * math.sqrt(equal * (1 - equal) / n + z * z / (4 * n * n))

    def beyond_chance(share: float) -> float:
        return max((share - chance) / (1 - chance), -1.0) if chance < 1 else 0.0

    high = 1.0 if chance == 1 else beyond_chance(min(centre + half, 1.0))
    return beyond_chance(equal), (-1.0 if chance == 1 else beyond_chance(max(centre - half, 0.0))), high


def pairwise_agreement(found: Iterable[Verdict]) -> list[PairAgreement]:
    """Return the agreement of every two people, those with most rows in common first. Settled rows count as first labelled."""
    both: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for verdict in found:
        for one, other in combinations(sorted(verdict.said), 2):
            both.setdefault((one, other), []).append((verdict.said[one], verdict.said[other]))
    lines = []
    for (one, other), pairs in both.items():
        share = sum(a == b for a, b in pairs) / len(pairs)
        lines.append(PairAgreement(one, other, len(pairs), share, *cohen_kappa(pairs)))
    return sorted(lines, key=lambda line: -line.rows)
