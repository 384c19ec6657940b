"""TF-IDF over hashed n-grams: learn a vocabulary of buckets, then transform texts to sparse rows.

The values are those of scikit-learn's TfidfVectorizer(sublinear_tf=True, smooth_idf=True, norm="l2") over the
same n-grams; several blocks (words, characters) are normalised separately and concatenated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.ngram_cache import Counts, NgramCache, ngram_cache
from rung.modalities.text.ngrams import BITS, NgramSpec, batches, normalize_text, occurrences

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
# Batches whose n-grams are counted by bucket at a time: bounds memory.
_BATCHES_COUNTED = 100
_LONGEST_STEP = 65_535


@dataclass(frozen=True)
class TfidfBlock:
    """One kind of n-grams: the known buckets (ascending), their idf, and the block's weight."""

    spec: NgramSpec
    buckets: npt.NDArray[np.int32]
    idf: Floats
    weight: float = 1.0


@dataclass(frozen=True)
class SparseRows:
    """Sparse rows in CSR form: row i has columns[starts[i]:starts[i + 1]] with these values."""

    starts: Ints
    columns: npt.NDArray[np.int32]
    values: Floats
    width: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def dot(self, weights: Floats) -> npt.NDArray[np.float64]:
        """Return [rows, outputs] = rows @ weights, in double precision."""
        out = np.zeros((len(self), weights.shape[1]))
        # Bounds the gathered weights to a few megabytes.
        max_features = max(1, 500_000 // max(weights.shape[1], 1))
        row = 0
        while row < len(self):
            limit = self.starts[row] + max_features
            stop = max(int(np.searchsorted(self.starts, limit, "right")) - 1, row + 1)
            piece = slice(self.starts[row], self.starts[stop])
            gathered = weights[self.columns[piece]].astype(np.float64) * self.values[piece, None]
            filled = np.flatnonzero(np.diff(self.starts[row : stop + 1]))
            if len(filled):
                edges = self.starts[row:stop][filled] - self.starts[row]
                out[row + filled] = np.add.reduceat(gathered, edges, axis=0)
            row = stop
        return out


def fit_block(
    texts: Sequence[str], spec: NgramSpec, min_rows: int, max_features: int, weight: float
) -> tuple[TfidfBlock, SparseRows]:
    """Return a vocabulary learned from normalised texts, and these texts as rows over it.

    min_rows: rows that an n-gram must occur in. most: only so many of the most frequent n-grams are kept.
    """
    counted = list(_count(texts, spec))
    row_counts = np.zeros(1 << BITS, dtype=np.int32)
    for begin in range(0, len(counted), _BATCHES_COUNTED):
        together = [buckets for _, buckets, _ in counted[begin : begin + _BATCHES_COUNTED]]
        row_counts += np.bincount(np.concatenate(together), minlength=1 << BITS).astype(np.int32)
    kept = np.flatnonzero(row_counts >= min_rows)
    if len(kept) > max_features:
        kept = np.sort(kept[np.argsort(-row_counts[kept], kind="stable")[:max_features]])
    idf = (np.log((1.0 + len(texts)) / (1.0 + row_counts[kept])) + 1.0).astype(np.float32)
    block = TfidfBlock(spec, kept.astype(np.int32), idf, weight)
    # A direct table is faster than searching; a server does not spend 64 MB on it.
    table = np.full(1 << BITS, -1, dtype=np.int32)
    table[kept] = np.arange(len(kept), dtype=np.int32)
    pieces = [_apply_tfidf(rows, table[buckets], counts, block) for rows, buckets, counts in counted]
    return block, _vstack_rows(pieces, len(texts), len(kept))


def transform(texts: Sequence[str], blocks: Sequence[TfidfBlock]) -> SparseRows:
    """Return raw texts as rows over the concatenated blocks."""
    normalized = [normalize_text(text) for text in texts]
    return hstack_rows([_transform_block(normalized, block) for block in blocks])


def hstack_rows(parts: Sequence[SparseRows]) -> SparseRows:
    """Return blocks of the same rows, concatenated."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(part.width for part in parts)])
    rows = np.concatenate([np.repeat(np.arange(len(part)), np.diff(part.starts)) for part in parts])
    columns = np.concatenate([part.columns + off for part, off in zip(parts, offsets, strict=False)])
    values = np.concatenate([part.values for part in parts])
    order = np.argsort(rows, kind="stable")
    starts = np.sum([part.starts for part in parts], axis=0)
    return SparseRows(starts, columns[order].astype(np.int32), values[order], int(offsets[-1]))


def known_share(text: str, blocks: Sequence[TfidfBlock]) -> float:
    """Return the share of a raw text's n-grams that the blocks know; 0.0 without n-grams."""
    known = of = 0
    for block in blocks:
        found = find_columns(occurrences([normalize_text(text)], block.spec).buckets, block)
        known, of = known + int((found >= 0).sum()), of + len(found)
    return known / of if of else 0.0


def find_columns(buckets: Ints, block: TfidfBlock) -> Ints:
    """Return the column of each bucket within the block, -1 for unknown buckets."""
    if not len(block.buckets):
        return np.full(len(buckets), -1)
    at = np.minimum(np.searchsorted(block.buckets, buckets), len(block.buckets) - 1)
    return np.where(block.buckets[at] == buckets, at, -1)


def _transform_block(normalized: Sequence[str], block: TfidfBlock) -> SparseRows:
    counted = _count(normalized, block.spec)
    pieces = [
        _apply_tfidf(rows, find_columns(buckets, block), counts, block) for rows, buckets, counts in counted
    ]
    return _vstack_rows(pieces, len(normalized), len(block.buckets))


def _count(normalized: Sequence[str], spec: NgramSpec) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield (rows, buckets, counts) for batches of texts, ordered by row and bucket."""
    kept = ngram_cache()
    if kept is not None:
        yield from _count_once(normalized, spec, kept)
        return
    for begin, end in batches(normalized):
        rows, buckets, counts = _count_batch(normalized[begin:end], spec)
        yield rows + begin, buckets, counts


def _count_once(
    normalized: Sequence[str], spec: NgramSpec, kept: NgramCache
) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield what `_count` yields; only texts that are not kept yet are counted."""
    for begin, end in batches(normalized):
        texts = normalized[begin:end]
        known = {text: kept.get(spec, text) for text in texts}
        new = [text for text, found in known.items() if found is None]
        fresh = dict(zip(new, _count_each(new, spec), strict=True)) if new else {}
        each = [known[text] or fresh[text] for text in texts]
        for text, found in fresh.items():
            kept.put(spec, text, found)
        sizes = np.array([len(buckets) for buckets, _ in each])
        rows = np.repeat(np.arange(begin, end), sizes)
        buckets = np.concatenate([buckets for buckets, _ in each]).astype(np.int64)
        yield rows, buckets, np.concatenate([counts for _, counts in each])


def _count_each(texts: Sequence[str], spec: NgramSpec) -> list[Counts]:
    """Return the n-grams of each text."""
    rows, buckets, counts = _count_batch(texts, spec)
    edges = np.searchsorted(rows, np.arange(1, len(texts)))
    pieces = np.split(buckets.astype(np.int32), edges), np.split(counts, edges)
    # Copies: a view would keep its whole batch.
    return [(ours.copy(), theirs.copy()) for ours, theirs in zip(*pieces, strict=True)]


def _count_batch(texts: Sequence[str], spec: NgramSpec) -> tuple[Ints, Ints, Floats]:
    """Return (rows, buckets, counts) of one batch of texts, ordered by row and bucket."""
    found = occurrences(texts, spec)
    keys = (found.rows << BITS) | found.buckets
    keys.sort()
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(np.append(first, len(keys))).astype(np.float32)
    keys = keys[first]
    return keys >> BITS, keys & ((1 << BITS) - 1), counts


def _apply_tfidf(
    rows: Ints, found: Ints | npt.NDArray[np.int32], counts: Floats, block: TfidfBlock
) -> tuple[Ints, Ints, Floats]:
    known = found >= 0
    rows, counts = rows[known], counts[known]
    columns: Ints = found[known].astype(np.int64)
    values = (1.0 + np.log(counts.astype(np.float64))) * block.idf[columns]
    if not len(rows):
        return rows, columns, values.astype(np.float32)
    local = rows - rows[0]
    norm = np.sqrt(np.bincount(local, weights=values * values))
    return rows, columns, (block.weight * values / norm[local]).astype(np.float32)


def _vstack_rows(pieces: list[tuple[Ints, Ints, Floats]], rows: int, width: int) -> SparseRows:
    starts = np.zeros(rows + 1, dtype=np.int64)
    for row, _, _ in pieces:
        starts[1:] += np.bincount(row, minlength=rows)
    np.cumsum(starts, out=starts)
    columns = np.concatenate([c.astype(np.int32) for _, c, _ in pieces] or [np.zeros(0, np.int32)])
    values = np.concatenate([v for _, _, v in pieces] or [np.zeros(0, np.float32)])
    return SparseRows(starts, columns, values, width)


def dump_blocks(blocks: Sequence[TfidfBlock]) -> tuple[list[dict[str, Any]], dict[str, npt.NDArray[Any]]]:
    """Return blocks as JSON and arrays, to store beside the weights of a head."""
    specs = [{**asdict(block.spec), "weight": block.weight} for block in blocks]
    arrays: dict[str, npt.NDArray[Any]] = {}
    for i, block in enumerate(blocks):
        arrays |= {f"buckets.{i}": block.buckets, f"idf.{i}": block.idf}
    return specs, arrays


def load_blocks(
    specs: Sequence[Mapping[str, Any]], arrays: Mapping[str, npt.NDArray[Any]]
) -> tuple[TfidfBlock, ...]:
    """Return the blocks that `dump_blocks` was given."""
    found = []
    for i, spec in enumerate(specs):
        grams = NgramSpec(spec["word_max"], spec["char_min"], spec["char_max"])
        idf = arrays[f"idf.{i}"].astype(np.float32, copy=False)
        found.append(TfidfBlock(grams, _stored_buckets(arrays, i), idf, float(spec["weight"])))
    return tuple(found)


def packed_buckets(name: str, buckets: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors that stand for the buckets of a block: the steps between them where 16 bits hold each.

    name: as in `dump_blocks`, buckets.0.
    """
    steps = np.diff(buckets, prepend=np.int32(0))
    if len(steps) and int(steps.max()) > _LONGEST_STEP:
        return {name: buckets}
    return {name.replace("buckets", "bucket_steps"): steps.astype(np.uint16)}


def _stored_buckets(arrays: Mapping[str, npt.NDArray[Any]], block: int) -> npt.NDArray[np.int32]:
    steps = arrays.get(f"bucket_steps.{block}")
    if steps is None:
        return arrays[f"buckets.{block}"]
    return np.cumsum(steps, dtype=np.int32)
