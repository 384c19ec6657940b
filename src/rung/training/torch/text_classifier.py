"""A text classifier for the trainer: rows as token ids, batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rung.core.model import FitContext
from rung.core.training_params import ClassifierParams
from rung.training.torch.batching import pad
from rung.training.torch.classifier import ClassifierLearner

Ints = npt.NDArray[np.int64]
# Tokens and rows of a batch that is answered, not trained on.
_SCORE_TOKENS, _SCORE_ROWS = 16_384, 256


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


class TextLearner(ClassifierLearner[TokenRows]):
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
        super().__init__(module, rows, labels, params, context, validation)
        self.token_dropout = token_dropout

    def outputs(self, rows: TokenRows, places: Ints) -> Tensor:
        ids, mask = self._tensors([rows.ids[place] for place in places])
        if self.token_dropout and self.module.training:
            ids = torch.where(torch.rand(ids.shape, device=ids.device) < self.token_dropout, 0, ids)
        found: Tensor = self.module(ids, mask)
        return found

    def batches(self, rows: TokenRows) -> Iterator[Ints]:
        lengths = rows.lengths
        order = np.argsort(lengths, kind="stable")
        start = 0
        while start < len(order):
            longest = int(lengths[order[min(start + _SCORE_ROWS - 1, len(order) - 1)]])
            size = min(max(_SCORE_TOKENS // max(longest, 1), 1), _SCORE_ROWS)
            yield order[start : start + size]
            start += size

    def _tensors(self, rows: list[Sequence[int]]) -> tuple[Tensor, Tensor]:
        ids, mask = pad([np.asarray(row, np.int64) for row in rows])
        device = next(self.module.parameters()).device
        return torch.as_tensor(ids, device=device), torch.as_tensor(mask, dtype=torch.float32, device=device)
