"""Which row to ask about next: clusters first, then what teaches most, and a share of random rows. Pure functions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_LLOYD_ITERATIONS = 12
_MAX_CLUSTERED = 4_000
# So many times the rows wanted are kept by uncertainty, before diversity chooses among them.
# Ten times was tried: on reviews, far-off texts then crowd out the doubtful ones.
_SHORTLIST_FACTOR, _MIN_SHORTLIST = 3, 60


def next_zone(given: tuple[int, int, int], audit_share: float, random_share: float) -> str:
    """Return what to ask about next, "audit", "random" or "chosen", so that shares of the labels so far are kept.

    given: labels of audit, random and chosen rows. The turn goes by counts alone, never by what rows hold.
    """
    audit, random, chosen = given
    if audit < int(audit_share * (audit + random + chosen + 1) + 1e-9):
        return "audit"
    return "random" if random < int(random_share * (random + chosen + 1) + 1e-9) else "chosen"


def cluster_representatives(vectors: Vectors, count: int, seed: int = 0) -> list[int]:
    """Return rows that stand for `count` clusters, the largest cluster first: each the one nearest its centre.

    k-means with k-means++ beginnings (Arthur & Vassilvitskii 2007) on at most 4,000 rows drawn at random. Looks at no
    label, so it works before the first one.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(len(vectors))
    if len(rows) > _MAX_CLUSTERED:
        rows = np.sort(rng.choice(rows, _MAX_CLUSTERED, replace=False))
    x = vectors[rows]
    count = min(count, len(x))
    if not count:
        return []
    centres = x[_kmeans_plus_plus(x, count, rng)].copy()
    for _ in range(_LLOYD_ITERATIONS):
        nearest = _squared_distances(x, centres).argmin(axis=1)
        for k in range(count):
            if (own := nearest == k).any():
                centres[k] = x[own].mean(axis=0)
    far = _squared_distances(x, centres)
    size = np.bincount(far.argmin(axis=1), minlength=count)
    found: list[int] = []
    for k in np.argsort(-size, kind="stable").tolist():
        place = int(far[:, k].argmin())
        far[place] = np.inf
        found.append(int(rows[place]))
    return found


def uncertain_and_diverse(vectors: Vectors, probabilities: Floats, candidates: Ints, count: int) -> list[int]:
    """Return the `count` candidates that teach most, best first: uncertain ones that are unlike each other.

    Uncertainty is 1 minus the margin between the two likeliest labels (Scheffer et al. 2001). Of the most uncertain
    candidates the first is taken, then always the one with the largest uncertainty times distance to what is
    taken, so that a batch does not ask the same question ten times.
    """
    if not len(candidates) or not count:
        return []
    likely = np.sort(probabilities[candidates], axis=1)
    doubt = 1.0 - (likely[:, -1] - likely[:, -2])
    order = np.argsort(-doubt, kind="stable")[: max(count * _SHORTLIST_FACTOR, _MIN_SHORTLIST)]
    short, weight = candidates[order], doubt[order]
    x = vectors[short]
    taken = [0]
    distance = _squared_distances(x, x[:1])[:, 0]
    while len(taken) < min(count, len(short)):
        score = weight * np.sqrt(distance)
        score[taken] = -1.0
        best = int(score.argmax())
        taken.append(best)
        distance = np.minimum(distance, _squared_distances(x, x[best : best + 1])[:, 0])
    return [int(short[place]) for place in taken]


def _kmeans_plus_plus(x: Vectors, count: int, rng: np.random.Generator) -> list[int]:
    """Return the rows of k-means++ beginnings."""
    found = [int(rng.integers(len(x)))]
    distance = _squared_distances(x, x[found])[:, 0]
    while len(found) < count:
        total = float(distance.sum())
        place = int(rng.choice(len(x), p=distance / total)) if total > 0 else int(rng.integers(len(x)))
        found.append(place)
        distance = np.minimum(distance, _squared_distances(x, x[place : place + 1])[:, 0])
    return found


def _squared_distances(x: Vectors, y: Vectors) -> Floats:
    """Return squared distances [rows of x, rows of y], never negative."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    found = np.square(a).sum(axis=1)[:, None] - 2.0 * (a @ b.T) + np.square(b).sum(axis=1)[None]
    return np.asarray(np.maximum(found, 0.0), np.float64)
