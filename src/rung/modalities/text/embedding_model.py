"""What models over embeddings share: a linear head on a text's vector, with n-grams beside it or alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.core.model import FitContext, Model, Reason, answers_from
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.embedder import Embedder, load_embedder, looks_english, open_embedder
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.tfidf import Block, blocks_from, blocks_to, transform
from rung.runtime.linear.head import LinearHead
from rung.runtime.linear.nystroem import Curves
from rung.runtime.weights.store import local
from rung.training.linear.stratified import sample
from rung.training.text.encoder_precision import best_encoder

# Texts read to tell the language.
_SAMPLE = 200
# Rows that a head over an encoder learns from, by effort: encoding more takes hours and gains tenths of a point.
MOST_ROWS = {0: 5_000, 1: 10_000, 2: 30_000, 3: 60_000, 4: 200_000, 5: 1_000_000}
# What a text costs beside minilm, whose six layers are the least, and what a bundle carries.
_TIMES_MINILM = {"e5_small": 2.5, "bge_small": 3.0}
_SIZE_MB = {"minilm": 24.0, "bge_small": 35.0}


class EmbeddingModel(Model):
    """A linear head over [n-gram blocks, weight * embedding]; `blocks` is empty for an encoder alone.

    With curves, closeness to their landmarks stands in the embedding's place.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        blocks: tuple[Block, ...],
        embedder: Embedder,
        head: LinearHead,
        chosen: Mapping[str, Any],
        curves: Curves | None = None,
    ) -> None:
        self.labels = labels
        self._blocks = blocks
        self._embedder = embedder
        self._head = head
        self._chosen = dict(chosen)
        self._curves = curves

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    def scores(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the linear scores [rows, labels] before calibration."""
        width = self._curves.count if self._curves else self._embedder.width
        vectors = self._embedder.embed(texts).astype(np.float64)
        weights = self._head.weights[-width:].astype(np.float64)
        found = self._curves.dot(vectors, weights) if self._curves else vectors @ weights
        found += self._head.bias
        if self._blocks:
            found += transform(texts, self._blocks).dot(self._head.weights[:-width])
        return np.asarray(found, dtype=np.float64)

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        return self._head.calibration.apply(self.scores(join_fields(inputs)))

    def predict(self, inputs: Columns) -> list[Prediction]:
        return answers_from(self.probabilities(inputs), self.labels, type(self).__module__.rsplit(".", 1)[-1])

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the words whose absence costs the answer most."""
        from rung.modalities.text.occlusion import occlude

        return [occlude(text, self.scores, most) for text in join_fields(inputs)]

    def save(self, folder: Path) -> None:
        specs, tensors = blocks_to(self._blocks)
        if self._curves:
            tensors |= self._curves.tensors()
        self._head.save(folder, {"blocks": specs, "chosen": self._chosen}, tensors)
        (folder / "encoder").mkdir()
        self._embedder.save(folder / "encoder")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        head, facts, arrays = LinearHead.load(folder, schema.labels)
        embedder = load_embedder(folder / "encoder")
        curves = Curves.of_tensors(arrays)
        return cls(
            schema.labels, blocks_from(facts["blocks"], arrays), embedder, head, facts["chosen"], curves
        )


def training_sample(examples: Examples, most: int | None, context: FitContext) -> Examples:
    """Return the rows to learn from: all of them, or as many as set or fit the effort, every label in its share."""
    number = {label: i for i, label in enumerate(examples.schema.labels)}
    codes = np.array([number[target] for target in examples.targets], dtype=np.int64)
    most = most or MOST_ROWS[context.effort]
    return examples if len(codes) <= most else examples.take(sample(codes, most, context.seed).tolist())


def scaled(head: LinearHead, width: int, factor: float) -> LinearHead:
    """Return the head with its last `width` weights times a factor: vectors are then used as they come."""
    weights = head.weights.copy()
    weights[-width:] *= factor
    return LinearHead(weights, head.bias, head.calibration)


def encoder_name(wanted: str, texts: Sequence[str]) -> str:
    """Return the weights to use: those asked for, or by the language of the first texts.

    "auto" is the small encoder of the language, "auto_large" the next larger one. Raises RungError when there is
    no larger one.
    """
    english = wanted.startswith("auto") and looks_english(texts[:_SAMPLE])
    if wanted == "auto":
        return "minilm" if english else "e5_small"
    if wanted == "auto_large":
        if not english:
            raise RungError(
                "no encoder larger than e5_small is known for this language.", fix="Name its weights."
            )
        return "bge_small"
    return wanted


def open_encoder(wanted: str, texts: Sequence[str], pool_chunks: bool = False) -> tuple[str, Embedder]:
    """Return the name and the embedder of a sentence encoder for these texts; never downloads."""
    name = encoder_name(wanted, texts)
    return name, open_embedder("encoder", best_encoder(name), pool_chunks)


def absent(wanted: str, texts: Sequence[str] = ()) -> RungError | None:
    """Return why the weights for these texts cannot be used here, None when they can."""
    try:
        local(encoder_name(wanted, texts))
    except RungError as error:
        return error
    return None


def encoder_seconds(name: str, chars: float) -> float:
    """Return the planned CPU seconds of encoding one text of so many characters."""
    tokens = min(chars / 4.0, 256.0)
    return (0.0008 + tokens * 7e-5) * _TIMES_MINILM.get(name, 1.0)


def encoder_mb(name: str) -> float:
    """Return the planned size of an encoder's files."""
    return _SIZE_MB.get(name, 90.0)
