"""Features of texts for active learning, and a zero-shot classifier for suggestions before the first labels."""

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
# Width of hashed word and character n-grams, used without an encoder.
_HASH_SIZE = 1_024
_SPEC = NgramSpec(word_max=2, char_min=2, char_max=4)
# Scale of cosines in the softmax: cosines of an encoder lie close together.
_SOFTMAX_SCALE = 25.0
_MAX_CHARS = 20_000


@dataclass(frozen=True)
class Featurizer:
    """Converts texts to vectors of length 1.

    name: of the weights, or "words". embedder: None for hashed n-grams.
    """

    name: str
    embedder: Embedder | None

    def transform(self, texts: Sequence[str], threads: int = 1) -> Vectors:
        """Return [rows, width], centred first, because an encoder's vectors share a large common component."""
        if self.embedder is None:
            found = _hashed_tfidf([text[:_MAX_CHARS] for text in texts])
        else:
            with use_embedding_cache(cache_folder() / "embeddings", threads):
                found = self.embedder.embed(list(texts))
        return centred(found)

    def similarity_embeddings(self, texts: Sequence[str]) -> Floats | None:
        """Return embeddings for comparing texts with each other; None without an encoder."""
        if self.embedder is None:
            return None
        clean = [text[:_MAX_CHARS].encode("utf-8", "replace").decode("utf-8") for text in texts]
        return np.asarray(self.embedder.engine.encode(clean), np.float64)


def open_featurizer(weights: str, texts: Sequence[str]) -> Featurizer:
    """Return the featurizer of a name: weights, "auto" for the best weights that are installed, or "none" for
    n-grams.

    Raises RungError when the named weights are not installed; "auto" falls back to n-grams.
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


def centred(vectors: npt.NDArray[Any]) -> Vectors:
    """Return [rows, width] with a mean of zero, then each row of length 1."""
    found = vectors - vectors.mean(axis=0)
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), np.float32)


class ZeroShotClassifier:
    """Classifies texts by the similarity of their embeddings to the names and descriptions of the labels."""

    def __init__(self, featurizer: Featurizer, labels: Mapping[str, str]) -> None:
        self._featurizer = featurizer
        self._labels = featurizer.similarity_embeddings(
            [f"{name}: {text}" if text else name for name, text in labels.items()]
        )

    def predict_proba(self, texts: Sequence[str]) -> Floats | None:
        """Return uncalibrated probabilities [rows, labels]; None without an encoder."""
        found = self._featurizer.similarity_embeddings(texts)
        if found is None or self._labels is None:
            return None
        near = found @ self._labels.T * _SOFTMAX_SCALE
        raised = np.exp(near - near.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)


def _hashed_tfidf(texts: Sequence[str]) -> Vectors:
    """Return TF-IDF of n-grams, hashed with random signs to a fixed width (Weinberger et al. 2009)."""
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
