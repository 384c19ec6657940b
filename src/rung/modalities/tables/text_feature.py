"""A column of free text as numbers: what a linear model of its words says of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.tfidf import Block, blocks_from, blocks_to, transform

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TextScores:
    """TF-IDF of a text column and ridge weights [features, outputs]."""

    block: Block
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @property
    def width(self) -> int:
        return int(self.weights.shape[1])

    def scores(self, texts: Sequence[Any]) -> Floats:
        """Return [rows, outputs]; a text that comes again is read once."""
        if not len(texts):
            return np.zeros((0, self.width))
        place: dict[str, int] = {}
        said = [place.setdefault(str(text or ""), len(place)) for text in texts]
        found = transform(list(place), (self.block,)).dot(self.weights)
        return np.asarray(found[said] + self.bias.astype(np.float64))

    def as_dict(self) -> dict[str, Any]:
        """Return what is no array, for JSON."""
        return {"block": blocks_to([self.block])[0]}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays, for safetensors."""
        return {**blocks_to([self.block])[1], "weights": self.weights, "bias": self.bias}

    @staticmethod
    def from_parts(raw: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> TextScores:
        """Return what `as_dict` and `arrays` gave."""
        (block,) = blocks_from(raw["block"], arrays)
        return TextScores(block, arrays["weights"], arrays["bias"])
