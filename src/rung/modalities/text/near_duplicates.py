"""Find near-duplicate texts: weighted MinHash over shingles, in numpy; a million short texts take minutes.

Shingles are runs of three characters inside words and pairs of adjacent words; for ideographs, single ones
and adjacent pairs. They mostly survive a dropped word, another order or a misread letter, in English and
Chinese. A shingle is weighted by the square root of its inverse document frequency, so that texts made from
one template differ by what was filled in.

A signature has 96 hash slots. A slot keeps, of the shingles s of a text, the one with the least E(s) / w(s),
where E is exponentially distributed and determined by s and the slot. Of independent exponentials the least
is that of s with probability proportional to w(s), so two texts agree in a slot with probability

J = sum of w over shingles of both / sum of w over shingles of either,

their weighted Jaccard similarity (Broder 1997; weights by exponential clocks as in Ioffe 2010). Texts that
agree in all 3 slots of one of 64 bands are candidates (locality-sensitive hashing: Indyk & Motwani 1998);
every slot is in two bands, with other slots each time, which costs one more sort and no hashing. Of pairs
with J = 0.45 that finds 99 %, with 0.4 98 %. Candidates are then compared exactly. Targets are not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.modalities.text.ngrams import (
    BITS,
    NgramSpec,
    batches,
    is_one_char_word,
    normalize_text,
    occurrences,
)

Signatures = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
# Texts at least this similar are near duplicates. Unrelated reviews reach 0.15 and unrelated articles 0.3,
# sentences shuffled from a dozen words 0.45; one word in five dropped leaves 0.7, one character in twenty
# misread 0.55 to 0.85.
MIN_SIMILARITY = 0.45
SIGNATURE_SIZE, _ROWS_PER_BAND = 96, 3
# Texts with fewer words or ideographs are not compared: "not good" and "good" share most of their shingles.
MIN_WORDS = 4
# Short texts need a higher similarity, by number of words: each word matters more, and texts made from one
# template ("Note of 2 April 2008: ...") share the template. "One of the best movies of the year" and "one of
# the worst" reach 0.63; of reviews with sixteen words and more, all pairs from 0.45 on that were read were
# copies or templates with little filled in.
_MIN_SIMILARITY_BY_WORDS = ((MIN_WORDS, 0.9), (8, 0.7), (16, MIN_SIMILARITY))
# Of long texts so many shingles are used, chosen by their hash, so that copies keep the same ones.
_MAX_SHINGLES = 256
# Up to this many texts in a bucket are all compared; in larger buckets each with its next neighbours.
_SMALL_BUCKET, _NEIGHBOURS = 6, 3
_SPEC = NgramSpec(2, 3, 3)
# Signatures of candidates must agree nearly this much before the exact comparison: 2.5 standard errors less.
_MARGIN = 0.13


@dataclass(frozen=True)
class DuplicatePairs:
    """Pairs of near duplicates: left rows, right rows, and the similarity of each pair."""

    left: Ints
    right: Ints
    similarity: Floats

    def __len__(self) -> int:
        return len(self.left)


class MinHasher:
    """Computes signatures with shingle weights from a sample of texts."""

    def __init__(self, sample: Sequence[str]) -> None:
        counted = [_shingles(normalized)[1] for normalized, _ in _normalized_batches(sample)]
        seen = np.bincount(np.concatenate([*counted, np.zeros(0, np.int64)]), minlength=1 << BITS)
        held = np.flatnonzero(seen)
        # A shingle not in the sample gets the weight of one that occurs once.
        self._weights = np.full(1 << BITS, np.sqrt(np.log(len(sample) + 2.0)), dtype=np.float32)
        self._weights[held] = np.sqrt(np.log((len(sample) + 2.0) / seen[held]) + 0.01)

    def signatures(self, texts: Sequence[str]) -> tuple[Signatures, npt.NDArray[np.bool_]]:
        """Return [texts, SIGNATURE_SIZE], and which texts are long enough to compare."""
        out = np.zeros((len(texts), SIGNATURE_SIZE), dtype=np.uint16)
        long = np.zeros(len(texts), dtype=bool)
        for normalized, begin in _normalized_batches(texts):
            starts, buckets, words = _shingles(normalized)
            long[begin : begin + len(normalized)] = (words >= MIN_WORDS) & (np.diff(starts) > 0)
            starts, buckets = _subsample_shingles(starts, buckets)
            filled = np.flatnonzero(np.diff(starts))
            if len(filled):
                out[begin + filled] = self._min_hashes(buckets, starts[:-1][filled])
        return out, long

    def _min_hashes(self, buckets: Ints, starts: Ints) -> Signatures:
        """Return the signatures of texts whose shingles begin at these positions; each has at least one."""
        table = _exponential_table()
        scaled = 1.0 / self._weights[buckets]
        keys = buckets.astype(np.uint32)
        out = np.empty((len(starts), SIGNATURE_SIZE), dtype=np.uint16)
        hashed, shifted, clocks = np.empty_like(keys), np.empty_like(keys), np.empty_like(scaled)
        for slot, (factor, offset) in enumerate(_hash_parameters()):
            np.multiply(keys, factor, out=hashed)
            hashed += offset
            np.right_shift(hashed, np.uint32(15), out=shifted)
            hashed ^= shifted
            hashed *= np.uint32(0x2C1B3C6D)
            hashed >>= np.uint32(16)
            np.take(table, hashed, out=clocks, mode="clip")
            clocks *= scaled
            least = np.minimum.reduceat(clocks, starts)
            # The winning shingle is identified by the bits of its exponential.
            out[:, slot] = (least.view(np.uint32) * np.uint32(0x9E3779B1)) >> np.uint32(16)
        return out

    def similarity(self, one: str, other: str) -> float:
        """Return the exact weighted Jaccard similarity of two texts."""
        return self._compare(one, other)[0]

    def near_duplicate_similarity(self, one: str, other: str) -> float:
        """Return the similarity of two texts if they are near duplicates, else 0."""
        similar, words = self._compare(one, other)
        return similar if similar >= min_similarity(words) else 0.0

    def _compare(self, one: str, other: str) -> tuple[float, int]:
        starts, buckets, words = _shingles([normalize_text(one), normalize_text(other)])
        left, right = buckets[: starts[1]], buckets[starts[1] :]
        both = float(self._weights[np.intersect1d(left, right, assume_unique=True)].sum())
        either = float(self._weights[buckets].sum()) - both
        return (both / either if either else 0.0), int(words.min())


def min_similarity(words: int) -> float:
    """Return the similarity from which texts are near duplicates, given the number of words of the shorter
    one.
    """
    places, similar = zip(*_MIN_SIMILARITY_BY_WORDS, strict=True)
    return max(float(np.interp(words, places, similar)), MIN_SIMILARITY)


def near_duplicate_pairs(hasher: MinHasher, texts: Sequence[str]) -> DuplicatePairs:
    """Return near duplicates among texts: for each group enough pairs to connect its members, not every pair."""
    signatures, long = hasher.signatures(texts)
    rows = np.flatnonzero(long)
    candidates = []
    for band in _band_keys(signatures[rows]):
        ones, others = _colliding_pairs(band)
        candidates.append(_filter_candidates(signatures, rows[ones], signatures, rows[others]))
    parent = np.arange(len(signatures))
    kept: list[tuple[int, int, float]] = []
    for one, other in np.unique(np.concatenate(candidates), axis=0).tolist():
        # Pairs that are already connected need no comparison: a group of a thousand has half a million pairs.
        a, b = _root(parent, one), _root(parent, other)
        if a != b:
            similar = hasher.near_duplicate_similarity(texts[one], texts[other])
            if similar:
                parent[max(a, b)] = min(a, b)
                kept.append((one, other, similar))
    return _to_pairs(kept)


class LshIndex:
    """Index of known texts for finding near duplicates of other texts. texts: those given to `sketcher`, in
    order.
    """

    def __init__(self, hasher: MinHasher, texts: Sequence[str]) -> None:
        self._hasher, self._texts = hasher, texts
        self._signatures, long = hasher.signatures(texts)
        self._rows = np.flatnonzero(long)
        # For each band the sorted keys of the known texts, and their rows.
        self._bands = [_sort_keys(band) for band in _band_keys(self._signatures[self._rows])]

    def find_duplicates(self, texts: Sequence[str]) -> DuplicatePairs:
        """Return, for each of these texts that is a near duplicate of a known one, one such pair: (known,
        text).
        """
        signatures, long = self._hasher.signatures(texts)
        ours, candidates = np.flatnonzero(long), []
        for (ranked, order), right in zip(self._bands, _band_keys(signatures[ours]), strict=True):
            low, high = np.searchsorted(ranked, right, "left"), np.searchsorted(ranked, right, "right")
            # Of a large bucket a few known texts stand for all.
            for step in range(_SMALL_BUCKET):
                hit = np.flatnonzero(low + step < high)
                theirs = self._rows[order[low[hit] + step]]
                candidates.append(_filter_candidates(self._signatures, theirs, signatures, ours[hit]))
        kept: list[tuple[int, int, float]] = []
        done: set[int] = set()
        for one, other in np.unique(np.concatenate(candidates), axis=0).tolist():
            if other not in done:
                similar = self._hasher.near_duplicate_similarity(self._texts[one], texts[other])
                if similar:
                    done.add(other)
                    kept.append((one, other, similar))
        return _to_pairs(kept)


def cluster_labels(pairs: DuplicatePairs, rows: int) -> Ints:
    """Return the cluster number of each row: its first member; a row without duplicates is its own cluster."""
    parent = np.arange(rows)
    for one, other in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
        a, b = _root(parent, one), _root(parent, other)
        parent[max(a, b)] = min(a, b)
    return np.array([_root(parent, row) for row in range(rows)], dtype=np.int64)


def _root(parent: npt.NDArray[np.int64], row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row


def _to_pairs(kept: Sequence[tuple[int, int, float]]) -> DuplicatePairs:
    ones, others, similar = zip(*kept, strict=True) if kept else ((), (), ())
    return DuplicatePairs(np.array(ones, np.int64), np.array(others, np.int64), np.array(similar, np.float32))


def _band_keys(signatures: Signatures) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield the key of each text in each band: its 16-bit slots, concatenated.

    Bands of neighbouring slots come first, then bands of slots a third of the signature apart: no two slots
    share more than one band.
    """
    third = SIGNATURE_SIZE // _ROWS_PER_BAND
    for slots in [
        *((b, b + 1, b + 2) for b in range(0, SIGNATURE_SIZE, _ROWS_PER_BAND)),
        *((b, b + third, b + 2 * third) for b in range(third)),
    ]:
        key = signatures[:, slots[0]].astype(np.uint64)
        for slot in slots[1:]:
            key = (key << np.uint64(16)) | signatures[:, slot]
        yield key


def _sort_keys(keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    order = np.argsort(keys, kind="stable").astype(np.int32)
    return keys[order], order


def _colliding_pairs(keys: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """Return pairs of positions with equal keys: all pairs of small buckets, the next neighbours in large
    ones.
    """
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]][: len(ranked)])
    sizes = np.diff(np.r_[first, len(ranked)])
    size = np.repeat(sizes, sizes)
    ones, others = [], []
    for step in range(1, _SMALL_BUCKET):
        left = np.arange(max(len(ranked) - step, 0))
        same = (ranked[left] == ranked[left + step]) & ((size[left] <= _SMALL_BUCKET) | (step <= _NEIGHBOURS))
        ones.append(order[left[same]])
        others.append(order[left[same] + step])
    a, b = np.concatenate(ones), np.concatenate(others)
    return np.minimum(a, b), np.maximum(a, b)


def _filter_candidates(left: Signatures, ones: Ints, right: Signatures, others: Ints) -> Ints:
    """Return [pairs, 2]: those whose signatures agree nearly as much as near duplicates' do."""
    kept = []
    for begin in range(0, len(ones), 1 << 18):
        a, b = ones[begin : begin + (1 << 18)], others[begin : begin + (1 << 18)]
        agree = (left[a] == right[b]).mean(axis=1, dtype=np.float32)
        kept.append(np.column_stack([a, b])[agree >= MIN_SIMILARITY - _MARGIN])
    return np.concatenate([*kept, np.zeros((0, 2), np.int64)])


def _normalized_batches(texts: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    for begin, end in batches(texts):
        yield [normalize_text(text) for text in texts[begin:end]], begin


def _shingles(normalized: Sequence[str]) -> tuple[Ints, Ints, Ints]:
    """Return where each text's shingles begin (and the end), the distinct shingles of each text, and its
    number of words.
    """
    found = occurrences(normalized, _SPEC)
    codes = np.frombuffer(
        (" " + " ".join(normalized) + " ").encode("utf-32-le", "surrogatepass"), dtype=np.uint32
    )
    single = np.zeros(len(codes) + 1, dtype=np.int64)
    np.cumsum(is_one_char_word(codes), out=single[1:])
    blanks = np.zeros(len(codes) + 1, dtype=np.int64)
    np.cumsum(codes == 32, out=blanks[1:])
    size, own = found.ends - found.starts, single[found.ends] - single[found.starts]
    inside = blanks[found.ends - 1] > blanks[found.starts + 1]
    wanted = np.where(own == 0, (size == 3) | inside, (size <= 2) & (own == size))
    # Sorting is ten times as fast as the hash table of `np.unique`.
    keys = np.sort((found.rows[wanted] << BITS) | found.buckets[wanted])
    keys = keys[np.r_[True, keys[1:] != keys[:-1]][: len(keys)]]
    rows = keys >> BITS
    starts = np.searchsorted(rows, np.arange(len(normalized) + 1))
    # A word of letters begins after a non-letter; an ideograph is a word.
    letters = (codes != 32) & (np.diff(single) == 0)
    begins = letters & ~np.r_[False, letters[:-1]] | (np.diff(single) > 0)
    lengths = np.fromiter((len(text) + 1 for text in normalized), np.int64, len(normalized))
    words = np.add.reduceat(begins, np.r_[0, np.cumsum(lengths)[:-1]], dtype=np.int64)
    return starts, keys & ((1 << BITS) - 1), words


def _subsample_shingles(starts: Ints, buckets: Ints) -> tuple[Ints, Ints]:
    """Return at most about _MAX_SHINGLES shingles of each text: those whose hash is below a share of the
    range.
    """
    sizes = np.diff(starts)
    # A copy that is a tenth shorter keeps a tenth more of its shingles: similarity is underestimated by at
    # most that.
    share = np.minimum(_MAX_SHINGLES / np.maximum(sizes, 1), 1.0)
    hashed = (buckets.astype(np.uint32) * np.uint32(0x85EBCA6B)) >> np.uint32(8)
    kept = hashed < np.repeat(share, sizes) * (1 << 24)
    rows = np.repeat(np.arange(len(sizes)), sizes)[kept]
    return np.searchsorted(rows, np.arange(len(sizes) + 1)), buckets[kept]


def _exponential_table() -> Floats:
    """Return exponential variates at 2**16 evenly spaced probabilities, ascending."""
    chances = (np.arange(1 << 16) + 0.5) / (1 << 16)
    return (-np.log1p(-chances)).astype(np.float32)


def _hash_parameters() -> list[tuple[np.uint32, np.uint32]]:
    """Return an odd factor and an offset for each slot; fixed."""
    draw = np.random.default_rng(0).integers(0, 1 << 32, (SIGNATURE_SIZE, 2), dtype=np.uint32)
    return [(factor | np.uint32(1), offset) for factor, offset in draw]
