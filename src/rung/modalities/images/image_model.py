"""What image models share when they answer: a vector of each image, a linear head, and borders that may be curved."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.model import Model, Reason
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.images.decode import pillow
from rung.modalities.images.extractor import Extractor, load_extractor
from rung.modalities.images.occlusion import explain_images, label_margin, set_margin
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
        family = type(self).__module__.rsplit(".", 1)[-1]
        return self._head.calibration.answers(self.probabilities(inputs), self.labels, family)

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the parts of the image whose covering lowers the probability of the label, or of the labels, most."""
        cuts = self._head.calibration.thresholds
        margin = partial(set_margin, thresholds=cuts) if cuts else label_margin
        return explain_images(inputs, self.probabilities, most, margin)

    def save(self, folder: Path) -> None:
        tensors = self._nystroem.tensors() if self._nystroem else {}
        facts = {"extractor": self._extractor.save(folder), "chosen": self._chosen}
        self._head.save(folder, facts, tensors)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        pillow()  # Missing, it is said when a server starts, not at its first request.
        head, facts, tensors = LinearHead.load(folder, schema.classes)
        extractor = load_extractor(folder, facts["extractor"])
        return cls(schema.classes, extractor, head, facts["chosen"], Nystroem.from_tensors(tensors))


def vectors_of(extractor: Extractor, inputs: Columns) -> npt.NDArray[np.float32]:
    """Return [rows, features]: the vectors of the image fields of each row, side by side."""
    return np.hstack([extractor.extract(column) for column in inputs.values()])
