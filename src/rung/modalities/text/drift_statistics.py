"""Where a text lies among the texts of the training rows: how rare its words are, and how far it is from all topics.

Words are hashed into 4,096 buckets (of ideographs, pairs too). A text's vector has the inverse document frequency of
each of its buckets, length 1. Sixteen topics are the centres of spherical k-means on such vectors (Dhillon & Modha
2001). Counts of buckets and centres are all that is kept: no text can be read from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.ngrams import NgramSpec, normalize_text, occurrences
from rung.monitoring.drift.binning import MAX_CHARS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_BITS, _TOPICS, _ITERATIONS = 12, 16, 12
_BUCKETS = 1 << _BITS
_BATCH = 200


class TextDriftModel:
    """Learned by `learn`, then fixed. document_counts: texts with each bucket, of `rows`; centres: [topics, buckets]."""

    def __init__(self, rows: int, document_counts: Ints, centres: npt.NDArray[np.int8]) -> None:
        self.rows = rows
        self.document_counts = np.asarray(document_counts, dtype=np.int64)
        self.centres = centres
        self._idf = np.log((rows + 1) / (self.document_counts + 0.5))
        floats = centres.astype(np.float64)
        self._topics = floats / np.maximum(np.linalg.norm(floats, axis=1, keepdims=True), 1e-12)

    @property
    def topics(self) -> int:
        """Return how many topics there are."""
        return len(self.centres)

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int = 0) -> TextDriftModel:
        """Return the space of these texts. The same texts and seed give the same."""
        seen = np.vstack([_bucket_indicators(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)])
        counts = seen.sum(axis=0).astype(np.int64)
        vectors = _normalize_rows(seen * np.log((len(texts) + 1) / (counts + 0.5)).astype(np.float32))
        draw = np.random.default_rng(seed)
        centres = vectors[draw.permutation(len(vectors))[:_TOPICS]]
        for _ in range(_ITERATIONS):
            nearest = (vectors @ centres.T).argmax(axis=1)
            sums = np.vstack([vectors[nearest == topic].sum(axis=0) for topic in range(len(centres))])
            # A topic that nothing is near keeps its place.
            centres = np.where(np.abs(sums).sum(axis=1, keepdims=True) > 0, _normalize_rows(sums), centres)
        # The nearest topic of most texts first, so that its number says how common it is.
        near = np.bincount((vectors @ centres.T).argmax(axis=1), minlength=len(centres))
        centres = centres[np.argsort(-near, kind="stable")]
        scale = np.maximum(np.abs(centres).max(axis=1, keepdims=True), 1e-12)
        return cls(len(texts), counts, np.round(centres / scale * 127).astype(np.int8))

    def measure(self, texts: Sequence[str]) -> tuple[Floats, Floats, Ints]:
        """Return of each text the mean rarity of its words (nan without words), its distance from the nearest
        topic (0 to 1), and that topic."""
        rarity, distance, topic = [], [], []
        for begin in range(0, len(texts), _BATCH):
            seen = _bucket_indicators(texts[begin : begin + _BATCH])
            words = seen.sum(axis=1)
            with np.errstate(invalid="ignore"):
                rarity.append(np.where(words > 0, seen @ self._idf / words, np.nan))
            near = _normalize_rows(seen * self._idf) @ self._topics.T
            distance.append(np.where(words > 0, 1 - near.max(axis=1), np.nan))
            topic.append(near.argmax(axis=1))
        if not rarity:
            return np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
        return np.concatenate(rarity), np.concatenate(distance), np.concatenate(topic)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what is stored."""
        return {"document_counts": self.document_counts.astype(np.uint16), "centres": self.centres}

    @classmethod
    def from_arrays(cls, rows: int, arrays: Mapping[str, npt.NDArray[np.generic]]) -> TextDriftModel:
        """Return what `arrays` gave; raises ValueError when they do not fit together."""
        counts, centres = arrays["document_counts"].astype(np.int64), arrays["centres"].astype(np.int8)
        if counts.shape != (_BUCKETS,) or centres.ndim != 2 or centres.shape[1] != _BUCKETS:
            raise ValueError("arrays of another shape")
        return cls(rows, counts, centres)


def _bucket_indicators(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return [texts, buckets]: 1 where a word of the text falls into the bucket."""
    folded = [normalize_text(text[:MAX_CHARS]) for text in texts]
    found = occurrences(folded, NgramSpec(word_max=2))
    joined = " " + " ".join(folded) + " "
    long = found.ends - found.starts
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    # Two words in a row count where each is one character of an unspaced script: there a pair is a word.
    blanks = np.concatenate([[0], np.cumsum(codes == 32)])
    pair = (long == 2) & (codes[found.starts] >= 0x2E80)
    single = (blanks[found.ends] == blanks[found.starts]) & ~pair
    kept = pair | single
    present = np.zeros((len(texts), _BUCKETS), dtype=np.float32)
    present[found.rows[kept], found.buckets[kept] & (_BUCKETS - 1)] = 1.0
    return present


def _normalize_rows(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
