"""Loss functions, summed over rows so that they can be added over parts of a batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def classification_loss(
    logits: Tensor, codes: Tensor, weights: Tensor, smoothing: float = 0.0, focal: float = 0.0
) -> Tensor:
    """Return the weighted sum of cross-entropies: logits [rows, labels], codes [rows], weights [rows].

    smoothing: share of each target spread over all labels (Szegedy et al. 2016). focal: exponent gamma of
    (1 - p)^gamma, which weights rows that are predicted well less (Lin et al. 2017).
    """
    each = functional.cross_entropy(logits, codes, reduction="none", label_smoothing=smoothing)
    if focal:
        chance = functional.softmax(logits, dim=1).gather(1, codes[:, None])[:, 0]
        each = each * (1.0 - chance) ** focal
    return (each * weights).sum()


def multilabel_loss(logits: Tensor, marks: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum over rows of the mean binary cross-entropy; marks: [rows, labels] of 0 and 1."""
    each = functional.binary_cross_entropy_with_logits(logits, marks, reduction="none").mean(dim=1)
    return (each * weights).sum()


def regression_loss(predicted: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of squared errors; predicted, targets: [rows]."""
    return (torch.square(predicted - targets) * weights).sum()


def row_weights(codes: Ints, labels: int, balanced: bool) -> Floats:
    """Return a weight for each row, 1 on average; balanced: all labels that occur have the same total weight.

    Rows with several labels (codes [rows, labels]) weigh alike.
    """
    if not balanced or codes.ndim > 1:
        return np.ones(len(codes))
    counts = np.bincount(codes, minlength=labels)
    return np.asarray(len(codes) / (np.count_nonzero(counts) * counts[codes].astype(np.float64)))
