"""A column of free text as numbers: what a linear model of its words says of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.ngrams import NgramSpec, fold
from rung.modalities.text.tfidf import Block, blocks_from, blocks_to, learn_block, transform

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Words and pairs of words; an ideograph is a word. Characters of words help short codes and endings.
_SPEC = NgramSpec(2, 2, 4)
_MOST_FEATURES = 30_000
_ALPHA = 1.0


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


def fit_text_scores(
    texts: Sequence[Any], targets: Floats, folds: Sequence[tuple[Ints, Ints]]
) -> tuple[TextScores, Floats]:
    """Return the scores of a column and, for each training row, those of a model that had not seen it.

    targets: [rows, outputs], about as wide as 1. A model over the scores of seen rows would trust them too much.
    """
    folded = [fold(str(text or "")) for text in texts]
    block, rows = learn_block(folded, _SPEC, 2 if len(texts) > 200 else 1, _MOST_FEATURES, 1.0)
    matrix = _sparse(rows)
    apart = np.zeros(targets.shape)
    for train, test in folds:
        weights, bias = _ridge(matrix[train], targets[train])
        apart[test] = matrix[test] @ weights + bias
    weights, bias = _ridge(matrix, targets)
    return TextScores(block, weights.astype(np.float32), bias.astype(np.float32)), apart


def _sparse(rows: Any) -> Any:
    from scipy.sparse import csr_matrix

    shape = (len(rows), max(rows.width, 1))
    return csr_matrix((rows.values.astype(np.float64), rows.columns, rows.starts), shape=shape)


def _ridge(matrix: Any, targets: Floats) -> tuple[Floats, Floats]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=_ALPHA, solver="sparse_cg", tol=1e-3).fit(matrix, targets)
    weights = np.atleast_2d(model.coef_)
    return weights.T, np.atleast_1d(model.intercept_)
