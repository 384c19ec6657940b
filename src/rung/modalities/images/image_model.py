"""What image models share when they answer: a vector of each image, a linear head, and borders that may be curved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.model import Model, Reason, answers_from
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.images.decode import pillow
from rung.modalities.images.extractor import Extractor, load_extractor
from rung.modalities.images.occlusion import explain_images
from rung.runtime.linear.head import LinearHead
from rung.runtime.linear.nystroem import Nystroem


class ImageModel(Model):
    """A linear head over the vectors of all image fields, or over their closeness to training rows."""

    def __init__(
        self,
        labels: tuple[str, ...],
        extractor: Extractor,
        head: LinearHead,
        chosen: Mapping[str, Any],
        nystroem: Nystroem | None = None,
    ) -> None:
        self.labels = labels
        self._extractor = extractor
        self._head = head
        self._chosen = dict(chosen)
        self._nystroem = nystroem

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        vectors = vectors_of(self._extractor, inputs).astype(np.float64)
        weights = self._head.weights.astype(np.float64)
        scores = self._nystroem.dot(vectors, weights) if self._nystroem else vectors @ weights
        return self._head.calibration.apply(np.asarray(scores + self._head.bias, np.float64))

    def predict(self, inputs: Columns) -> list[Prediction]:
        return answers_from(self.probabilities(inputs), self.labels, type(self).__module__.rsplit(".", 1)[-1])

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the parts of the image whose covering lowers the label's probability most."""
        return explain_images(inputs, self.probabilities, most)

    def save(self, folder: Path) -> None:
        tensors = self._nystroem.tensors() if self._nystroem else {}
        facts = {"extractor": self._extractor.save(folder), "chosen": self._chosen}
        self._head.save(folder, facts, tensors)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        pillow()  # Missing, it is said when a server starts, not at its first request.
        head, facts, tensors = LinearHead.load(folder, schema.labels)
        extractor = load_extractor(folder, facts["extractor"])
        return cls(schema.labels, extractor, head, facts["chosen"], Nystroem.from_tensors(tensors))


def vectors_of(extractor: Extractor, inputs: Columns) -> npt.NDArray[np.float32]:
    """Return [rows, features]: the vectors of the image fields of each row, side by side."""
    return np.hstack([extractor.extract(column) for column in inputs.values()])
