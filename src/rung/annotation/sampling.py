"""Sampling rules for labelling: the zone of the next row, cluster representatives, and uncertainty sampling.

Pure functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_LLOYD_ITERATIONS = 12
_MAX_CLUSTERED = 4_000
# Size of the shortlist of uncertain rows, as a multiple of the batch, from which diversity chooses.
# A factor of ten was tried: on reviews, outliers then displace uncertain rows.
_SHORTLIST_FACTOR, _MIN_SHORTLIST = 3, 60


def next_zone(counts: tuple[int, int, int], audit_share: float, random_share: float) -> str:
    """Return the zone of the next row, "audit", "random" or "chosen", so that the shares of labels are kept.

    counts: labels of audit, random and chosen rows so far. The zone depends on counts only, never on the
    content of rows.
    """
    audit, random, chosen = counts
    if audit < int(audit_share * (audit + random + chosen + 1) + 1e-9):
        return "audit"
    return "random" if random < int(random_share * (random + chosen + 1) + 1e-9) else "chosen"


def cluster_representatives(vectors: Vectors, count: int, seed: int = 0) -> list[int]:
    """Return the row nearest the centre of each of `count` clusters, the largest cluster first.

    k-means with k-means++ initialisation (Arthur & Vassilvitskii 2007) on at most 4,000 rows drawn at random.
    It uses no labels, so it works before the first one.
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
    """Return up to `count` candidates, best first: uncertain rows that differ from each other.

    Uncertainty is 1 minus the margin between the two most likely labels (Scheffer et al. 2001). The most
    uncertain candidate comes first, then always the one with the largest product of uncertainty and distance
    to the rows already selected, so that a batch contains no near duplicates.
    """
    if not len(candidates) or not count:
        return []
    likely = np.sort(probabilities[candidates], axis=1)
    uncertainty = 1.0 - (likely[:, -1] - likely[:, -2])
    order = np.argsort(-uncertainty, kind="stable")[: max(count * _SHORTLIST_FACTOR, _MIN_SHORTLIST)]
    shortlist, weight = candidates[order], uncertainty[order]
    x = vectors[shortlist]
    selected = [0]
    distance = _squared_distances(x, x[:1])[:, 0]
    while len(selected) < min(count, len(shortlist)):
        score = weight * np.sqrt(distance)
        score[selected] = -1.0
        best = int(score.argmax())
        selected.append(best)
        distance = np.minimum(distance, _squared_distances(x, x[best : best + 1])[:, 0])
    return [int(shortlist[place]) for place in selected]


def _kmeans_plus_plus(x: Vectors, count: int, rng: np.random.Generator) -> list[int]:
    """Return the rows of a k-means++ initialisation."""
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
