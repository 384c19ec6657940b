"""A free-text column as numeric features: scores of a linear model over its n-grams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.tfidf import TfidfBlock, dump_blocks, load_blocks, transform

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TextScorer:
    """TF-IDF of a text column and ridge weights [features, outputs]."""

    block: TfidfBlock
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @property
    def width(self) -> int:
        return int(self.weights.shape[1])

    def scores(self, texts: Sequence[Any]) -> Floats:
        """Return [rows, outputs]. Repeated texts are scored once."""
        if not len(texts):
            return np.zeros((0, self.width))
        place: dict[str, int] = {}
        index = [place.setdefault(str(text or ""), len(place)) for text in texts]
        found = transform(list(place), (self.block,)).dot(self.weights)
        return np.asarray(found[index] + self.bias.astype(np.float64))

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON part of the scorer."""
        return {"block": dump_blocks([self.block])[0]}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of the scorer, for safetensors."""
        return {**dump_blocks([self.block])[1], "weights": self.weights, "bias": self.bias}

    @staticmethod
    def from_parts(raw: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> TextScorer:
        """Return the scorer that `as_dict` and `arrays` describe."""
        (block,) = load_blocks(raw["block"], arrays)
        return TextScorer(block, arrays["weights"], arrays["bias"])
