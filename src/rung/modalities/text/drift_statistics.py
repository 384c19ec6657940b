"""Drift statistics of texts: how rare their words are, and how far they are from the topics of the training
rows.

Words are hashed into 4,096 buckets (of ideographs, pairs as well). A text's vector holds the inverse document
frequency of each of its buckets, normalised to length 1. Sixteen topics are the centres of spherical k-means
on such vectors (Dhillon & Modha 2001). Only bucket counts and centres are stored: no text can be recovered
from them.
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
    """Fitted by `fit`, then fixed. document_counts: of `rows` texts, those with each bucket. centres:
    [topics, buckets].
    """

    def __init__(self, rows: int, document_counts: Ints, centres: npt.NDArray[np.int8]) -> None:
        self.rows = rows
        self.document_counts = np.asarray(document_counts, dtype=np.int64)
        self.centres = centres
        self._idf = np.log((rows + 1) / (self.document_counts + 0.5))
        floats = centres.astype(np.float64)
        self._topics = floats / np.maximum(np.linalg.norm(floats, axis=1, keepdims=True), 1e-12)

    @property
    def topics(self) -> int:
        """Return the number of topics."""
        return len(self.centres)

    @classmethod
    def fit(cls, texts: Sequence[str], seed: int = 0) -> TextDriftModel:
        """Return the model of these texts. The same texts and seed give the same model."""
        seen = np.vstack([_bucket_indicators(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)])
        counts = seen.sum(axis=0).astype(np.int64)
        vectors = _normalize_rows(seen * np.log((len(texts) + 1) / (counts + 0.5)).astype(np.float32))
        draw = np.random.default_rng(seed)
        centres = vectors[draw.permutation(len(vectors))[:_TOPICS]]
        for _ in range(_ITERATIONS):
            nearest = (vectors @ centres.T).argmax(axis=1)
            sums = np.vstack([vectors[nearest == topic].sum(axis=0) for topic in range(len(centres))])
            # A topic without texts keeps its centre.
            centres = np.where(np.abs(sums).sum(axis=1, keepdims=True) > 0, _normalize_rows(sums), centres)
        # Topics are numbered by how many texts are nearest to them.
        near = np.bincount((vectors @ centres.T).argmax(axis=1), minlength=len(centres))
        centres = centres[np.argsort(-near, kind="stable")]
        scale = np.maximum(np.abs(centres).max(axis=1, keepdims=True), 1e-12)
        return cls(len(texts), counts, np.round(centres / scale * 127).astype(np.int8))

    def measure(self, texts: Sequence[str]) -> tuple[Floats, Floats, Ints]:
        """Return for each text the mean rarity of its words (nan without words), its distance from the
        nearest topic (0 to 1), and that topic.
        """
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
        """Return the arrays to store."""
        return {"document_counts": self.document_counts.astype(np.uint16), "centres": self.centres}

    @classmethod
    def from_arrays(cls, rows: int, arrays: Mapping[str, npt.NDArray[np.generic]]) -> TextDriftModel:
        """Return the model that `arrays` describes; raises ValueError when shapes do not fit."""
        counts, centres = arrays["document_counts"].astype(np.int64), arrays["centres"].astype(np.int8)
        if counts.shape != (_BUCKETS,) or centres.ndim != 2 or centres.shape[1] != _BUCKETS:
            raise ValueError("arrays of another shape")
        return cls(rows, counts, centres)


def _bucket_indicators(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return [texts, buckets]: 1 where a word of the text hashes to the bucket."""
    normalized = [normalize_text(text[:MAX_CHARS]) for text in texts]
    found = occurrences(normalized, NgramSpec(word_max=2))
    joined = " " + " ".join(normalized) + " "
    length = found.ends - found.starts
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    # Pairs of words count where both are single characters of a script without spaces: there a pair is a
    # word.
    blanks = np.concatenate([[0], np.cumsum(codes == 32)])
    pair = (length == 2) & (codes[found.starts] >= 0x2E80)
    single = (blanks[found.ends] == blanks[found.starts]) & ~pair
    kept = pair | single
    present = np.zeros((len(texts), _BUCKETS), dtype=np.float32)
    present[found.rows[kept], found.buckets[kept] & (_BUCKETS - 1)] = 1.0
    return present


def _normalize_rows(vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
