"""Rows as vectors, and a first guess at a label before anybody has given one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.modalities.text.embedder import Embedder, is_english, open_embedder
from rung.modalities.text.ngrams import NgramSpec, batches, normalize_text, occurrences
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.runtime.weights.store import cache_folder, weights_folder
from rung.training.text.encoders import open_encoder

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
# Without an encoder: words and pieces of words, hashed into so many numbers.
_HASH_SIZE = 1_024
_SPEC = NgramSpec(word_max=2, char_min=2, char_max=4)
# How sharply nearness becomes probability: cosines of an encoder lie close together.
_SOFTMAX_SCALE = 25.0
_MAX_CHARS = 20_000


@dataclass(frozen=True)
class Featurizer:
    """Turns texts into vectors of length 1. name: of the weights, or "words". embedder: None for hashed words."""

    name: str
    embedder: Embedder | None

    def transform(self, texts: Sequence[str], threads: int = 1) -> Vectors:
        """Return [rows, width], the mean taken off: encoders put all texts into one corner of their space."""
        if self.embedder is None:
            found = _hashed_tfidf([text[:_MAX_CHARS] for text in texts])
        else:
            with use_embedding_cache(cache_folder() / "embeddings", threads):
                found = self.embedder.embed(list(texts))
        found = found - found.mean(axis=0)
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), np.float32)

    def similarity_embeddings(self, texts: Sequence[str]) -> Floats | None:
        """Return vectors made for comparing texts with each other; None when words alone are known."""
        if self.embedder is None:
            return None
        clean = [text[:_MAX_CHARS].encode("utf-8", "replace").decode("utf-8") for text in texts]
        return np.asarray(self.embedder.engine.encode(clean), np.float64)


def open_featurizer(weights: str, texts: Sequence[str]) -> Featurizer:
    """Return what reads these texts: weights of a name, the best that is here for "auto", or words for "none".

    Raises RungError when weights were named that are not here; "auto" then falls back to words.
    """
    if weights == "none":
        return Featurizer("words", None)
    if weights != "auto":
        return _open_named(weights, texts)
    names = ["auto", "wordllama"] if is_english(list(texts[:200])) else ["auto"]
    for name in names:
        try:
            return _open_named(name, texts)
        except RungError:
            continue
    return Featurizer("words", None)


def _open_named(weights: str, texts: Sequence[str]) -> Featurizer:
    if weights == "wordllama":
        return Featurizer(weights, open_embedder("static", weights_folder(weights)))
    with use_embedding_cache(cache_folder() / "embeddings", 1):
        name, embedder = open_encoder(weights, list(texts[:200]))
    return Featurizer(name, embedder)


class ZeroShotClassifier:
    """Guesses labels from their names and descriptions alone, by nearness in an encoder's space."""

    def __init__(self, reader: Featurizer, labels: Mapping[str, str]) -> None:
        self._reader = reader
        self._labels = reader.similarity_embeddings(
            [f"{name}: {text}" if text else name for name, text in labels.items()]
        )

    def predict_proba(self, texts: Sequence[str]) -> Floats | None:
        """Return [rows, labels]; None where no encoder is here. They are guesses, not calibrated."""
        found = self._reader.similarity_embeddings(texts)
        if found is None or self._labels is None:
            return None
        near = found @ self._labels.T * _SOFTMAX_SCALE
        raised = np.exp(near - near.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)


def _hashed_tfidf(texts: Sequence[str]) -> Vectors:
    """Return TF-IDF over n-grams, added up with random signs in a fixed number of places (Weinberger et al. 2009)."""
    folded = [normalize_text(text) for text in texts]
    rows: list[npt.NDArray[np.int64]] = []
    grams: list[npt.NDArray[np.int64]] = []
    for begin, end in batches(folded):
        found = occurrences(folded[begin:end], _SPEC)
        rows.append(found.rows + begin)
        grams.append(found.buckets)
    out = np.zeros((len(texts), _HASH_SIZE), np.float32)
    if not rows:
        return out
    pair, times = np.unique(np.concatenate(rows) * (1 << 24) + np.concatenate(grams), return_counts=True)
    row, gram = pair >> 24, pair & ((1 << 24) - 1)
    _, member, held = np.unique(gram, return_inverse=True, return_counts=True)
    weight = (1 + np.log(times)) * np.log((1 + len(texts)) / (1 + held[member]))
    weight[held[member] < 2] = 0.0
    sign = np.where((gram >> 11) & 1, 1.0, -1.0)
    np.add.at(out, (row, gram % _HASH_SIZE), (weight * sign).astype(np.float32))
    return out


def as_code(labels: Sequence[str]) -> dict[str, Any]:
    """Return label -> its number."""
    return {label: number for number, label in enumerate(labels)}
