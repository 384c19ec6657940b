"""A column of free text as numbers: what a linear model of its words says of the target."""

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
        """Return [rows, outputs]; a text that comes again is read once."""
        if not len(texts):
            return np.zeros((0, self.width))
        place: dict[str, int] = {}
        said = [place.setdefault(str(text or ""), len(place)) for text in texts]
        found = transform(list(place), (self.block,)).dot(self.weights)
        return np.asarray(found[said] + self.bias.astype(np.float64))

    def as_dict(self) -> dict[str, Any]:
        """Return what is no array, for JSON."""
        return {"block": dump_blocks([self.block])[0]}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays, for safetensors."""
        return {**dump_blocks([self.block])[1], "weights": self.weights, "bias": self.bias}

    @staticmethod
    def from_parts(raw: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> TextScorer:
        """Return what `as_dict` and `arrays` gave."""
        (block,) = load_blocks(raw["block"], arrays)
        return TextScorer(block, arrays["weights"], arrays["bias"])
