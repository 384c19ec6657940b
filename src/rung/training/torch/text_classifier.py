"""Train a text classifier: rows as token ids, a learner for the trainer, calibration on validation rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rung.core.model import FitContext
from rung.core.training_params import ClassifierParams
from rung.runtime.linear.head import Calibration
from rung.training.linear.calibration import calibrate
from rung.training.linear.paired_gain import search_score
from rung.training.torch.batching import pad
from rung.training.torch.learner import Learner
from rung.training.torch.losses import classification_loss, row_weights

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_SCORE_TOKENS = 16_384


@dataclass(frozen=True)
class TokenRows:
    """Rows as token ids with the number of each row's label."""

    ids: Sequence[Sequence[int]]
    codes: Ints

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def lengths(self) -> Ints:
        return np.array([len(row) for row in self.ids], np.int64)

    def join(self, other: TokenRows) -> TokenRows:
        """Return the rows of both."""
        return TokenRows([*self.ids, *other.ids], np.concatenate([self.codes, other.codes]))


class TextLearner(Learner):
    """A network over token ids. token_dropout: share of tokens replaced by the unknown token 0 in training."""

    def __init__(
        self,
        module: nn.Module,
        rows: TokenRows,
        labels: int,
        params: ClassifierParams,
        context: FitContext,
        validation: TokenRows | None = None,
        token_dropout: float = 0.0,
    ) -> None:
        balanced = params.class_weight == "balanced"
        super().__init__(module, rows.lengths, row_weights(rows.codes, labels, balanced))
        self.rows, self.labels, self.params = rows, labels, params
        self.validation, self.token_dropout = validation, token_dropout
        self.goal = search_score(context.goal)
        self.told: Callable[[int, float | None], None] | None = None

    def epoch_ended(self, epoch: int, score: float | None) -> None:
        if self.told is not None:
            self.told(epoch, score)

    def loss(self, rows: Ints) -> Tensor:
        ids, mask = self._tensors([self.rows.ids[row] for row in rows])
        if self.token_dropout and self.module.training:
            ids = torch.where(torch.rand(ids.shape, device=ids.device) < self.token_dropout, 0, ids)
        codes = torch.as_tensor(self.rows.codes[rows], device=ids.device)
        weights = torch.as_tensor(self.weights[rows], dtype=torch.float32, device=ids.device)
        params = self.params
        return classification_loss(
            self.module(ids, mask), codes, weights, params.label_smoothing, params.focal
        )

    def score(self) -> float | None:
        """Return the bar's metric on validation rows, minus a thousandth of their log loss, which breaks ties."""
        if self.validation is None or not len(self.validation):
            return None
        logits, codes = self.logits(self.validation), self.validation.codes
        found = self.goal(codes, logits.argmax(axis=1), np.ones(len(codes)), self.labels)
        chances = Calibration().apply(logits)[np.arange(len(codes)), codes]
        return found + 1e-3 * float(np.log(np.maximum(chances, 1e-12)).mean())

    @torch.no_grad()
    def logits(self, rows: TokenRows) -> Floats:
        """Return the logits [rows, labels] of the module as it is."""
        self.module.eval()
        found = np.zeros((len(rows), self.labels))
        lengths = rows.lengths
        order = np.argsort(lengths, kind="stable")
        start = 0
        while start < len(order):
            size = max(_SCORE_TOKENS // max(int(lengths[order[min(start + 255, len(order) - 1)]]), 1), 1)
            part = order[start : start + min(size, 256)]
            found[part] = self.module(*self._tensors([rows.ids[row] for row in part])).float().cpu().numpy()
            start += len(part)
        return found

    def _tensors(self, rows: list[Sequence[int]]) -> tuple[Tensor, Tensor]:
        ids, mask = pad([np.asarray(row, np.int64) for row in rows])
        device = next(self.module.parameters()).device
        return torch.as_tensor(ids, device=device), torch.as_tensor(mask, dtype=torch.float32, device=device)


def fit_calibration(learner: TextLearner, context: FitContext) -> Calibration:
    """Return the temperature that fits validation rows best; 1 without such rows."""
    rows = learner.validation
    if rows is None or len(rows) < 10:
        return Calibration()
    found = calibrate(learner.logits(rows), rows.codes, context.seed, allow_isotonic=False, conservative=True)
    return Calibration(scale=found.scale)
