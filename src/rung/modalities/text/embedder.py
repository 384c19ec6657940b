"""Embed texts with a sentence encoder or static token vectors; embeddings are cached on disk during a build."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.modalities.text.onnx_encoder import OnnxEncoder
from rung.modalities.text.static_embedding import StaticEmbedding
from rung.modalities.text.tokenize import replace_lone_surrogates
from rung.runtime.embeddings.cache import EmbeddingCache, LayeredCache
from rung.runtime.embeddings.settings import embedding_cache_settings

Vectors = npt.NDArray[np.float32]
_ENCODER_FILES = ("model.onnx", "tokenizer.json", "encoder.json", "embedding.safetensors")
_COMMON_ENGLISH_WORDS = frozenset(
    [
        "the",
        "of",
        "and",
        "to",
        "in",
        "a",
        "is",
        "that",
        "it",
        "for",
        "was",
        "on",
        "are",
        "with",
        "as",
        "be",
        "this",
        "have",
        "not",
        "you",
        "i",
    ]
)


@dataclass(frozen=True)
class Embedder:
    """An opened encoder. kind: "encoder" or "static". folder: its files. pool_chunks: read long texts
    completely.
    """

    kind: str
    folder: Path
    width: int
    pool_chunks: bool
    engine: Any
    cache: EmbeddingCache | LayeredCache | None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return [rows, width], each row of length 1."""
        if not texts:
            return np.zeros((0, self.width), np.float32)
        return self.cache.embed(texts, self._encode) if self.cache is not None else self._encode(list(texts))

    def save(self, folder: Path) -> None:
        """Copy the encoder's files into an empty folder, with its settings."""
        for name in _ENCODER_FILES:
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, folder / name)
        use = {"kind": self.kind, "pool_chunks": self.pool_chunks}
        (folder / "embedder.json").write_text(json.dumps(use), encoding="utf-8")

    def _encode(self, texts: list[str]) -> Vectors:
        # Tokenizers reject lone surrogates.
        valid = [replace_lone_surrogates(text) for text in texts]
        if self.kind == "static":
            return np.asarray(self.engine.encode(valid), np.float32)
        vectors = self.engine.encode(valid, pool_chunks=self.pool_chunks, all_layers=True)
        return np.asarray(vectors, np.float32)


def open_embedder(kind: str, folder: Path, pool_chunks: bool = False) -> Embedder:
    """Return the embedder of a folder; raises RungError when its files cannot be used."""
    building = embedding_cache_settings()
    if kind == "static":
        static = StaticEmbedding.open(folder)
        return Embedder(kind, folder, static.width, False, static, None)  # Faster than any cache.
    encoder = OnnxEncoder.open(folder, threads=building.threads if building else 1)
    width = encoder.full_width
    cache = None
    if building:
        what = f"{encoder.config.id}-{'chunks' if pool_chunks else 'first'}"
        # Single precision: a build's embeddings must be the served ones, bit for bit.
        cache = building.cache(what, width, "float32")
    return Embedder(kind, folder, width, pool_chunks, encoder, cache)


def load_embedder(folder: Path) -> Embedder:
    """Return the embedder that `Embedder.save` wrote."""
    use = json.loads((folder / "embedder.json").read_text(encoding="utf-8"))
    if use["kind"] not in {"encoder", "static"}:
        raise RungError(
            f"'{use['kind']}' is not a kind of embedder", "embedder.json", "Build the bundle again."
        )
    return open_embedder(use["kind"], folder, bool(use["pool_chunks"]))


def is_english(texts: Sequence[str]) -> bool:
    """Return whether the texts are English, judged by the share of its most common words."""
    words = [word for text in texts for word in re.findall(r"[^\W\d_]+", text[:2_000].lower())]
    plain = sum(
        text[:2_000].isascii() or len(re.findall(r"[^\x00-\u024f]", text[:2_000])) < 0.05 * len(text)
        for text in texts
    )
    common = sum(word in _COMMON_ENGLISH_WORDS for word in words)
    return bool(texts) and plain > 0.9 * len(texts) and common > 0.08 * max(len(words), 1)
