"""Base class of models over embeddings: a linear head on a text's vector, optionally with n-grams beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.model import Model, Reason
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.text.embedder import Embedder, load_embedder
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.tfidf import TfidfBlock, dump_blocks, load_blocks, transform
from rung.runtime.linear.head import LinearHead
from rung.runtime.linear.nystroem import Nystroem


class EmbeddingModel(Model):
    """A linear head over [n-gram blocks, scaled embedding]; `blocks` is empty for an encoder alone.

    With a Nystroem map, kernel values replace the embedding.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        blocks: tuple[TfidfBlock, ...],
        embedder: Embedder,
        head: LinearHead,
        chosen: Mapping[str, Any],
        nystroem: Nystroem | None = None,
    ) -> None:
        self.labels = labels
        self._blocks = blocks
        self._embedder = embedder
        self._head = head
        self._chosen = dict(chosen)
        self._nystroem = nystroem

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    def scores(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the linear scores [rows, labels] before calibration."""
        width = self._nystroem.count if self._nystroem else self._embedder.width
        vectors = self._embedder.embed(texts).astype(np.float64)
        weights = self._head.weights[-width:].astype(np.float64)
        found = self._nystroem.dot(vectors, weights) if self._nystroem else vectors @ weights
        found += self._head.bias
        if self._blocks:
            found += transform(texts, self._blocks).dot(self._head.weights[:-width])
        return np.asarray(found, dtype=np.float64)

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        return self._head.calibration.apply(self.scores(join_fields(inputs)))

    def predict(self, inputs: Columns) -> list[Prediction]:
        family = type(self).__module__.rsplit(".", 1)[-1]
        return self._head.calibration.answers(self.probabilities(inputs), self.labels, family)

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the words whose removal lowers the label's score most."""
        from rung.modalities.text.occlusion import explain_by_occlusion

        return [explain_by_occlusion(text, self.scores, most) for text in join_fields(inputs)]

    def save(self, folder: Path) -> None:
        specs, tensors = dump_blocks(self._blocks)
        if self._nystroem:
            tensors |= self._nystroem.tensors()
        self._head.save(folder, {"blocks": specs, "chosen": self._chosen}, tensors)
        (folder / "encoder").mkdir()
        self._embedder.save(folder / "encoder")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        head, facts, arrays = LinearHead.load(folder, schema.classes)
        embedder = load_embedder(folder / "encoder")
        nystroem = Nystroem.from_tensors(arrays)
        return cls(
            schema.classes, load_blocks(facts["blocks"], arrays), embedder, head, facts["chosen"], nystroem
        )
