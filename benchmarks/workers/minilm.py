"""The MiniLM of `rung weights` as a sentence-transformers model."""

from __future__ import annotations

from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer


def minilm(weights: Path) -> SentenceTransformer:
    """Return the encoder as its authors publish it: mean pooling, unit length, 256 tokens.

    The folder holds weights, config and tokenizer only; its tokenizer.json pads and cuts at 128, which
    Transformer overrides.
    """
    word = Transformer(str(weights), max_seq_length=256)
    return SentenceTransformer(
        modules=[word, Pooling(word.get_embedding_dimension()), Normalize()], device="cpu"
    )
