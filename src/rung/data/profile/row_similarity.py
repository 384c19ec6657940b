"""Find the most similar rows of each row: by shared words and cells, and by numbers that lie near each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.ngrams import NgramSpec, batches, normalize_text, occurrences

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
# Neighbours kept of each row: more than a family has, so that others are left when it is taken out.
DEPTH = 96
# Of long texts the beginning tells enough.
_CHARS = 600
_SPEC = NgramSpec(1, 3, 3)
# Of so many columns every pair of cells is a token as well: single cells of few values say little, pairs say who it is.
_PAIRED_COLUMNS = 24
# Features of the linear model: tokens hashed into so many.
_HASHED = 512
_BINS = 8
_PIECE = 500
_COLUMN_BITS, _TEXT_TOKENS = 40, 1 << 39


@dataclass(frozen=True)
class Neighbours:
    """The most similar rows of each row, the most similar first. rows: [n, DEPTH], -1 for none; similarity: same shape."""

    rows: npt.NDArray[np.int32]
    similarity: Floats


@dataclass(frozen=True)
class RowFeatures:
    """What rows are compared by. texts: joined per row, or none. cells: column -> code of each cell, -1 where empty.

    numbers: [n, columns], normal scores of the ranks.
    """

    texts: Sequence[str]
    cells: Mapping[str, Ints]
    numbers: Floats

    @staticmethod
    def of(texts: Sequence[str], columns: Mapping[str, Sequence[Any]], numeric: Sequence[str]) -> RowFeatures:
        """Return the features of rows. columns: all that are no prose; numeric: names of those that hold numbers."""
        cells = {name: codes_of(column) for name, column in columns.items()}
        scores = [_normal_scores(columns[name]) for name in numeric if len(set(columns[name])) > 10]
        numbers = np.stack(scores, axis=1) if scores else np.zeros((_length(texts, columns), 0), np.float32)
        return RowFeatures(texts, cells, numbers)

    @property
    def rows(self) -> int:
        return len(self.texts) or len(self.numbers)


def codes_of(column: Sequence[Any]) -> Ints:
    """Return a number for each different cell of a column, -1 where it is empty."""
    words = np.array(["" if cell is None else str(cell) for cell in column])
    _, code = np.unique(words, return_inverse=True)
    return np.where((words == "") | (words == "nan"), -1, code).astype(np.int64)


def neighbours(features: RowFeatures) -> tuple[dict[str, Neighbours], Floats]:
    """Return the neighbours by each kind of similarity, and [n, d] features for a linear model. Needs scipy."""
    found: dict[str, Neighbours] = {}
    n = features.rows
    linear = [np.ones((n, 1), np.float32)]
    if features.numbers.shape[1]:
        found["numbers"] = _nearest(features.numbers)
        linear += [features.numbers, *map(_binned, features.numbers.T)]
    tokens = _tokens(features)
    if tokens is not None:
        matrix, counts = tokens
        most = max(250, n // 40) if features.texts else max(100, n // 100)
        found["tokens"] = _most_shared(matrix, counts, most)
        linear += [
            _one_hot(codes) for codes in features.cells.values() if 1 < codes.max(initial=-1) + 1 <= 30
        ]
        linear.append(_hashed(matrix, counts))
    return found, np.concatenate(linear, axis=1)


def _tokens(features: RowFeatures) -> tuple[csr_matrix, Ints] | None:
    """Return [n, tokens] of ones, and in how many rows each token is: words, runs of three letters, cells, pairs of cells."""
    from scipy.sparse import csr_matrix

    rows, tokens = [], []
    for begin, end in batches(features.texts):
        found = occurrences([normalize_text(text[:_CHARS]) for text in features.texts[begin:end]], _SPEC)
        rows.append(found.rows + begin)
        tokens.append(found.buckets + _TEXT_TOKENS)
    codes = list(features.cells.values())
    for place, code in enumerate(codes):
        filled = np.flatnonzero(code >= 0)
        rows.append(filled)
        tokens.append(code[filled] + (place + 1 << _COLUMN_BITS))
        for other in range(place if len(codes) <= _PAIRED_COLUMNS else 0):
            both = np.flatnonzero((code >= 0) & (codes[other] >= 0))
            rows.append(both)
            pair = code[both] * (codes[other].max() + 1) + codes[other][both]
            tokens.append(
                pair % (1 << _COLUMN_BITS) + (100 + place * _PAIRED_COLUMNS + other << _COLUMN_BITS)
            )
    if not tokens or not sum(map(len, tokens)):
        return None
    _, column = np.unique(np.concatenate(tokens), return_inverse=True)
    shape = (features.rows, int(column.max()) + 1)
    matrix = csr_matrix((np.ones(len(column), np.float32), (np.concatenate(rows), column)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    counts = np.bincount(matrix.indices, minlength=shape[1])
    matrix = matrix[:, counts > 1]
    return matrix, counts[counts > 1]


def _most_shared(matrix: csr_matrix, counts: Ints, most: int) -> Neighbours:
    """Return the rows with the largest cosine of tokens that at most so many rows have, weighted by their rarity."""
    from scipy.sparse import diags

    n = matrix.shape[0]
    rare = counts <= most
    weighted = matrix[:, rare] @ diags(np.log((n + 1) / counts[rare]).astype(np.float32))
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    unit = (diags((1.0 / np.maximum(length, 1e-9)).astype(np.float32)) @ weighted).tocsr()
    rows, similarity = np.full((n, DEPTH), -1, np.int32), np.zeros((n, DEPTH), np.float32)
    other = unit.T.tocsr()
    for begin in range(0, n, _PIECE):
        product = (unit[begin : begin + _PIECE] @ other).tocsr()
        for place in range(product.shape[0]):
            span = slice(product.indptr[place], product.indptr[place + 1])
            shared, found = product.indices[span], product.data[span]
            mine = shared != begin + place
            shared, found = shared[mine], found[mine]
            if len(found) > DEPTH:
                top = np.argpartition(-found, DEPTH - 1)[:DEPTH]
                shared, found = shared[top], found[top]
            order = np.argsort(-found, kind="stable")
            rows[begin + place, : len(order)] = shared[order]
            similarity[begin + place, : len(order)] = found[order]
    return Neighbours(rows, similarity)


def _nearest(points: Floats) -> Neighbours:
    """Return the rows at the smallest distance."""
    n = len(points)
    depth = min(DEPTH, n - 1)
    rows, similarity = np.full((n, DEPTH), -1, np.int32), np.zeros((n, DEPTH), np.float32)
    squares = (points**2).sum(axis=1)
    for begin in range(0, n, _PIECE):
        mine = points[begin : begin + _PIECE]
        distance = squares[begin : begin + _PIECE, None] + squares[None] - 2.0 * (mine @ points.T)
        distance[np.arange(len(mine)), np.arange(begin, begin + len(mine))] = np.inf
        top = np.argpartition(distance, depth - 1, axis=1)[:, :depth]
        order = np.take_along_axis(distance, top, 1).argsort(axis=1)
        top = np.take_along_axis(top, order, 1)
        rows[begin : begin + _PIECE, :depth] = top
        gap = np.sqrt(np.maximum(np.take_along_axis(distance, top, 1), 0.0))
        similarity[begin : begin + _PIECE, :depth] = 1.0 / (1e-3 + gap)
    return Neighbours(rows, similarity)


def _hashed(matrix: csr_matrix, counts: Ints) -> Floats:
    """Return tokens, weighted by rarity and hashed into few features with random signs (Weinberger et al. 2009)."""
    from scipy.sparse import csr_matrix

    n, tokens = matrix.shape
    rng = np.random.default_rng(0)
    weight = rng.choice(np.array([-1.0, 1.0], np.float32), tokens) * np.log((n + 1) / counts)
    place = rng.integers(0, _HASHED, tokens)
    shape = (tokens, _HASHED)
    found = matrix @ csr_matrix((weight.astype(np.float32), (np.arange(tokens), place)), shape=shape)
    dense = np.asarray(found.toarray(), np.float32)
    return np.asarray(dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-9), np.float32)


def _normal_scores(column: Sequence[Any]) -> Floats:
    """Return van der Waerden's normal scores of the ranks; equal numbers have one rank, empty cells the median."""
    from scipy.special import ndtri

    raw = np.array([np.nan if cell is None or cell == "" else float(cell) for cell in column])
    filled = np.where(np.isfinite(raw), raw, np.nanmedian(raw) if np.isfinite(raw).any() else 0.0)
    order = np.sort(filled)
    rank = (np.searchsorted(order, filled, "left") + np.searchsorted(order, filled, "right") + 1) / 2
    return np.asarray(ndtri(rank / (len(filled) + 1)), np.float32)


def _binned(scores: Floats) -> Floats:
    edges = np.quantile(scores, np.linspace(0, 1, _BINS + 1)[1:-1])
    return _one_hot(np.searchsorted(edges, scores, side="right").astype(np.int64))


def _one_hot(codes: Ints) -> Floats:
    return np.asarray(codes[:, None] == np.arange(codes.max() + 1), np.float32)


def _length(texts: Sequence[str], columns: Mapping[str, Sequence[Any]]) -> int:
    return len(texts) or len(next(iter(columns.values()), ()))
