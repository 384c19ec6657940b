"""The nearest of many texts by hashed tf-idf: an inverted index in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.modalities.text.ngrams import BITS, NgramSpec, normalize_text, occurrences

INDEX_FILE = "nearest.safetensors"
_SPEC = NgramSpec(word_max=2)
_BITS = 18
# Texts longer than this are known by their beginning.
_MOST_CHARS = 20_000
Ints = npt.NDArray[np.int64]


class NearestTexts:
    """Words and pairs of words of texts, hashed into 2**18 buckets, weighted by their rarity; vectors of length 1.

    starts: [buckets + 1], where the texts of each bucket begin among rows (texts) and weights.
    """

    def __init__(
        self, starts: npt.NDArray[np.int64], rows: npt.NDArray[np.int32], weights: npt.NDArray[np.float32],
        rarity: npt.NDArray[np.float32], texts: int,
    ) -> None:  # fmt: skip
        self._starts, self._rows, self._weights, self._rarity = starts, rows, weights, rarity
        self.texts = texts

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Self:
        """Return the index of texts."""
        row, bucket, count = _counts(texts)
        frequency = np.bincount(bucket, minlength=1 << _BITS)
        rarity = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
        weights = (1 + np.log(count)) * rarity[bucket]
        length = np.sqrt(np.bincount(row, weights**2, minlength=len(texts)))
        weights = (weights / np.maximum(length[row], 1e-12)).astype(np.float32)
        order = np.argsort(bucket, kind="stable")
        starts = np.concatenate([[0], np.cumsum(frequency)])
        return cls(starts, row[order].astype(np.int32), weights[order], rarity, len(texts))

    def nearest(self, text: str, most: int = 1) -> list[tuple[int, float]]:
        """Return the most similar texts as (place, cosine), nearest first; only those that share a word."""
        _, bucket, count = _counts([text])
        own = (1 + np.log(count)) * self._rarity[bucket]
        own /= max(float(np.sqrt((own**2).sum())), 1e-12)
        scores = np.zeros(self.texts)
        for place, weight in zip(bucket.tolist(), own.tolist(), strict=True):
            piece = slice(self._starts[place], self._starts[place + 1])
            scores[self._rows[piece]] += weight * self._weights[piece]
        order = np.argsort(-scores, kind="stable")[:most]
        return [(int(place), float(scores[place])) for place in order if scores[place] > 0]

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        parts: dict[str, npt.NDArray[Any]] = {
            "starts": self._starts, "rows": self._rows, "weights": self._weights, "rarity": self._rarity,
            "texts": np.array([self.texts], np.int64),
        }  # fmt: skip
        save_file(parts, folder / INDEX_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        from safetensors.numpy import load_file

        found = load_file(folder / INDEX_FILE)
        (texts,) = found.pop("texts").tolist()
        index = cls(**found, texts=texts)
        is_whole = len(index._starts) == (1 << _BITS) + 1 and len(index._rows) == len(index._weights)
        if not is_whole or (len(index._rows) and not 0 <= int(index._rows.max()) < texts):
            raise BundleError("the index of texts cannot be read", INDEX_FILE, "Build it again.")
        return index


def _counts(texts: Sequence[str]) -> tuple[Ints, Ints, Ints]:
    """Return text, bucket and count of each different n-gram of each text."""
    folded = [normalize_text(text[:_MOST_CHARS]) for text in texts]
    if not folded:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty
    found = occurrences(folded, _SPEC)
    keys = found.rows * (1 << _BITS) + (found.buckets >> (BITS - _BITS))
    different, counts = np.unique(keys, return_counts=True)
    return different >> _BITS, different & ((1 << _BITS) - 1), counts
