"""Logistic regression over dense vectors.

It chooses rows to label and measures the learning curve; it is never shipped.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import MissingExtra

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Inverse penalty strength. Vectors of length 1 need less penalty than standardised features.
_C = 20.0
_MAX_ITERATIONS = 200
# Differences below this do not change which row is asked about next.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class LabelClassifier:
    """A fitted classifier.

    model: None when all rows had one label. codes: the labels that it has seen, of `n_labels`.
    """

    model: Any
    codes: Ints
    n_labels: int

    def predict_proba(self, vectors: npt.NDArray[np.float32]) -> Floats:
        """Return probabilities [rows, labels]; each row sums to 1. A label without training rows gets 0."""
        found = np.zeros((len(vectors), self.n_labels))
        if len(vectors):
            found[:, self.codes] = 1.0 if self.model is None else self.model.predict_proba(vectors)
        return found


def fit_classifier(
    vectors: npt.NDArray[np.float32], codes: Ints, n_labels: int, c: float = _C
) -> LabelClassifier:
    """Return multinomial logistic regression with an L2 penalty, fitted by scikit-learn.

    vectors: [rows, width], rows of length about 1; codes: each row's label in [0, n_labels). Raises
    ValueError without rows, MissingExtra without scikit-learn.
    """
    if not len(codes):
        raise ValueError("there are no rows to fit on")
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingExtra("choosing rows to label", "build", "scikit-learn") from None
    seen = np.unique(codes)
    if len(seen) == 1:
        return LabelClassifier(None, seen, n_labels)
    with warnings.catch_warnings():
        # Many labels on few rows are expected here.
        warnings.filterwarnings("ignore", message="The number of unique classes")
        model = LogisticRegression(C=c, max_iter=_MAX_ITERATIONS, tol=_TOLERANCE).fit(vectors, codes)
    return LabelClassifier(model, seen, n_labels)
