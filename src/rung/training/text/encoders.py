"""Select the encoder of a build, its number of training rows, and its planned cost."""

from __future__ import annotations

from collections.abc import Sequence

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.core.unavailable import Unavailable
from rung.modalities.text.embedder import Embedder, is_english, open_embedder
from rung.runtime.weights.store import weights_folder
from rung.training.linear.label_sets import sample_examples
from rung.training.text.encoder_precision import best_encoder_folder

# Texts used to detect the language.
_LANGUAGE_SAMPLE = 200
# Training rows of a head over an encoder, by effort: encoding more takes hours and gains tenths of a point.
MAX_ROWS = {0: 5_000, 1: 10_000, 2: 30_000, 3: 60_000, 4: 200_000, 5: 1_000_000}
# Time of a text relative to minilm, the smallest encoder with six layers; and size of the files in a bundle.
_RELATIVE_SECONDS = {"e5_small": 2.5, "bge_small": 3.0}
_SIZE_MB = {"minilm": 24.0, "bge_small": 35.0}


def training_sample(examples: Examples, most: int | None, context: FitContext) -> Examples:
    """Return the training rows: all, or a stratified sample of `most` rows or as many as the effort allows."""
    return sample_examples(examples, most or MAX_ROWS[context.effort], context.seed)


def resolve_encoder(requested: str, texts: Sequence[str]) -> str:
    """Return the weights to use: the requested ones, or a choice by the language of the first texts.

    "auto" is the small encoder of the language, "auto_large" the next larger one. Raises RungError when there
    is no larger one.
    """
    english = requested.startswith("auto") and is_english(texts[:_LANGUAGE_SAMPLE])
    if requested == "auto":
        return "minilm" if english else "e5_small"
    if requested == "auto_large":
        if not english:
            raise Unavailable("no_larger_encoder", largest="e5_small")
        return "bge_small"
    return requested


def open_encoder(requested: str, texts: Sequence[str], pool_chunks: bool = False) -> tuple[str, Embedder]:
    """Return name and embedder of the sentence encoder for these texts; never downloads."""
    name = resolve_encoder(requested, texts)
    return name, open_embedder("encoder", best_encoder_folder(name), pool_chunks)


def missing_weights(requested: str, texts: Sequence[str] = ()) -> RungError | None:
    """Return why the weights for these texts cannot be used here; None when they can."""
    try:
        weights_folder(resolve_encoder(requested, texts))
    except RungError as error:
        return error
    return None


def encoding_seconds(name: str, chars: float) -> float:
    """Return the planned CPU seconds of encoding one text with this many characters."""
    tokens = min(chars / 4.0, 256.0)
    return (0.0008 + tokens * 7e-5) * _RELATIVE_SECONDS.get(name, 1.0)


def encoder_size_mb(name: str) -> float:
    """Return the planned size of an encoder's files."""
    return _SIZE_MB.get(name, 90.0)
