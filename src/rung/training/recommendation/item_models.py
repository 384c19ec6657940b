"""Fits of rungs made of items alone: neighbours, EASE, transitions, and the linear map from first events to later ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.scorers import LowRank
from rung.modalities.recommendation.sparse_rows import SparseRows
from rung.training.recommendation.interactions import Floats, Interactions, count_items

# Items from which a matrix of items by items is no longer made: 20,000 take 3.2 GB in 64 bits, and two of them are needed.
MOST_DENSE_ITEMS = 20_000
# Below so many weights a sparse form saves nothing worth having.
_FEWEST_WEIGHTS = 2_000


def require_dense(examples: Examples, context: FitContext, family: str) -> None:
    """Raise RungError where a fit would need a matrix of items by items that is too large, before any memory is taken for it."""
    items = count_items(examples, context)
    if items > MOST_DENSE_ITEMS:
        raise RungError(
            f"{items:,} items need a matrix of {items * items * 8 / 1e9:,.0f} GB; at most {MOST_DENSE_ITEMS:,} are taken",
            family,
            "Use item_neighbours, als or markov, which grow with the events and not with pairs of items.",
        )


def neighbours(people: Interactions, most: int, shrink: float) -> SparseRows:
    """Return, an item, its nearest items by the cosine of who had them, shrunk where few had both (Sarwar et al. 2001)."""
    matrix = people.matrix
    across = matrix.T.tocsr()
    counts, norms = people.counts, np.sqrt(np.maximum(people.counts, 1.0))
    parts = []
    for begin in range(0, len(counts), 1_000):
        both = across[begin : begin + 1_000] @ matrix
        for row in range(both.shape[0]):
            item = begin + row
            columns = both.indices[both.indptr[row] : both.indptr[row + 1]].astype(np.int64)
            shared = both.data[both.indptr[row] : both.indptr[row + 1]].astype(np.float64)
            keep = columns != item
            columns, shared = columns[keep], shared[keep]
            value = shared / (norms[item] * norms[columns]) * shared / (shared + shrink)
            parts.append(_strongest(columns, value, most))
    return SparseRows.of(parts, len(counts))


def ease_weights(people: Interactions, ridge: float) -> npt.NDArray[np.float32]:
    """Return [items, items]: the linear autoencoder with an empty diagonal (Steck 2019, "Embarrassingly shallow autoencoders")."""
    gram = (people.matrix.T @ people.matrix).toarray().astype(np.float64)
    diagonal = np.arange(len(gram))
    gram[diagonal, diagonal] += ridge
    inverse = np.linalg.inv(gram)
    del gram
    weights = inverse / -inverse.diagonal()
    weights[diagonal, diagonal] = 0.0
    return weights.astype(np.float32)


def sparse_of(weights: npt.NDArray[np.float32], share: float) -> SparseRows:
    """Return the strongest of some weights, a share of all: those of the largest size, wherever they stand."""
    size = np.abs(weights)
    kept = min(max(int(share * size.size), _FEWEST_WEIGHTS), size.size)
    least = float(np.partition(size.ravel(), size.size - kept)[size.size - kept])
    least = max(least, 1e-12)
    parts = []
    for row, sizes in zip(weights, size, strict=True):
        columns = np.flatnonzero(sizes >= least)
        parts.append((columns, row[columns].astype(np.float64)))
    return SparseRows.of(parts, len(weights))


def transitions(people: Interactions, window: int, decay: float, most: int) -> SparseRows:
    """Return, an item, how likely each item is soon after it: within a window, nearer ones counting more.

    Shrunk by the count of the item, so that what followed once by chance does not lead.
    """
    from scipy.sparse import csr_matrix

    items = len(people.catalogue)
    total = csr_matrix((items, items), dtype=np.float64)
    for step in range(1, window + 1):
        pairs = [
            (person.items[:-step], person.items[step:])
            for person in people.people
            if len(person.items) > step
        ]
        if not pairs:
            break
        begin, end = (np.concatenate(side) for side in zip(*pairs, strict=True))
        ones = np.full(len(begin), decay ** (step - 1))
        total = total + csr_matrix((ones, (begin, end)), shape=(items, items))
    total = total.tocsr()
    left = np.asarray(total.sum(axis=1)).ravel() + 10.0
    parts = []
    for row in range(items):
        columns = total.indices[total.indptr[row] : total.indptr[row + 1]].astype(np.int64)
        parts.append(
            _strongest(columns, total.data[total.indptr[row] : total.indptr[row + 1]] / left[row], most)
        )
    return SparseRows.of(parts, items)


@dataclass(frozen=True)
class Beginnings:
    """Second moments of people's first events and of what they did later.

    gram: [items, items] of first events around their mean; cross: of first with later ones. mean, base: [items], of either.
    """

    gram: Floats
    cross: Floats
    mean: Floats
    base: Floats

    @staticmethod
    def of(people: Interactions, lengths: Sequence[int]) -> Beginnings:
        """Return the moments over a row for each person and length: [items] of the first events, [items] of later ones."""
        first, later = _prefixes(people, lengths)
        mean, base = (np.asarray(side.mean(axis=0), np.float64).ravel() for side in (first, later))
        n = first.shape[0]
        gram = (first.T @ first).toarray().astype(np.float64) - n * np.outer(mean, mean)
        cross = (first.T @ later).toarray().astype(np.float64) - n * np.outer(mean, base)
        return Beginnings(gram, cross, mean, base)

    def weights(self, ridge: float) -> Floats:
        """Return the ridge regression from first events to later ones, [items, items]."""
        return np.asarray(np.linalg.solve(self.gram + ridge * np.eye(len(self.gram)), self.cross), np.float64)


def first_to_later(beginnings: Beginnings, ridge: float, rank: int, by: str) -> LowRank:
    """Return the ridge regression from the first events of people to what they did later, of low rank.

    Centred, so that with nothing to go by it answers the mean: what people do later, popular items first. Of the map, the
    directions in which its answers vary most are kept (reduced-rank regression, Izenman 1975).
    """
    weights = beginnings.weights(ridge)
    # Principal directions of the fitted answers: of weights' gram weights, items by items and symmetric.
    spread = weights.T @ beginnings.gram @ weights
    _, vectors = np.linalg.eigh((spread + spread.T) / 2.0)
    right = vectors[:, ::-1][:, : min(rank, len(vectors))].T
    return LowRank(weights @ right.T, right, beginnings.base, beginnings.mean, by)


def _prefixes(people: Interactions, lengths: Sequence[int]) -> tuple[Any, Any]:
    from scipy.sparse import csr_matrix

    first, later = [], []
    for person in people.people:
        events = len(person.items)
        for length in lengths:
            if length < events:
                first.append(person.items[:length])
                later.append(person.items[length:])
    shape = (len(first), len(people.catalogue))

    def rows(parts: Sequence[npt.NDArray[np.int64]]) -> csr_matrix:
        ends = np.cumsum([0, *map(len, parts)])
        columns = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        return csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=shape)

    return rows(first), rows(later)


def _strongest(
    columns: npt.NDArray[np.int64], values: Floats, most: int
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the largest values with their columns, columns ascending; ties by column."""
    if len(columns) > most:
        least = np.partition(values, len(values) - most)[len(values) - most]
        keep = np.flatnonzero(values >= least)
        if len(keep) > most:  # ties: the earlier columns stay
            keep = np.sort(keep[np.argsort(-values[keep], kind="stable")[:most]])
        columns, values = columns[keep], values[keep]
    order = np.argsort(columns, kind="stable")
    return columns[order], values[order]
