"""Short training after an encoder was cut: the smaller one learns to give texts the vectors that the whole one gives them.

Labels take no part (Sanh et al. 2019 and Jiao et al. 2020 distil hidden states likewise). The vectors are those that the head reads:
states of three depths, pooled. The head is fitted anew afterwards, so its logits are no target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rung.core.model import FitContext
from rung.core.training_params import Schedule, TrainingParams
from rung.training.text.bert_weights import BertWeights
from rung.training.torch.batching import pad
from rung.training.torch.bert import BertEncoder
from rung.training.torch.devices import training_threads
from rung.training.torch.learner import Ints, Learner
from rung.training.torch.trainer import train

Float = npt.NDArray[np.float32]
# Tokens that are read in all epochs together, and at most so many epochs.
_TOKENS, _MOST_EPOCHS = 150_000, 4


@dataclass(frozen=True)
class RecoveryParams(TrainingParams):
    """Parameters of the training after a cut."""

    epochs: int = 1
    batch_rows: int = 16
    learning_rate: float = 1e-4
    schedule: Schedule = "linear"
    patience: int = 0


def recover(
    cut: BertWeights, pooling: str, ids: Sequence[Sequence[int]], vectors: Float, context: FitContext
) -> BertWeights:
    """Return the weights after training.

    ids: of the texts, special tokens included. vectors: [texts, parts * width], what the whole encoder makes of the same tokens.
    Of more texts than the training's tokens allow, an even sample is read.
    """
    lengths = np.array([len(row) for row in ids], np.int64)
    room = int(np.searchsorted(np.cumsum(lengths), _TOKENS, side="right"))
    places = np.unique(np.linspace(0, len(ids) - 1, max(min(room, len(ids)), 1)).astype(int))
    rows = [np.asarray(ids[place], np.int64) for place in places]
    spent = max(int(lengths[places].sum()), 1)
    with training_threads(context.threads, context.seed):
        encoder = BertEncoder(cut, pooling, np.unique(np.concatenate(rows)), dropout=0.0)
    params = RecoveryParams(epochs=min(max(_TOKENS // spent, 1), _MOST_EPOCHS))
    targets = parts_for(vectors[places], cut.width, encoder.width // cut.width)
    train(_VectorLearner(encoder, rows, targets), params, replace(context, validation=None, scratch=None))
    return encoder.cpu().export()


def parts_for(vectors: Float, width: int, parts: int) -> Float:
    """Return the vectors of as many depths as the smaller encoder reads, spread evenly, each part of the same length, together of length 1."""
    there = vectors.reshape(len(vectors), -1, width)
    depths = np.linspace(there.shape[1] - 1, 0, parts).round().astype(int)[::-1]  # The last one always.
    taken = there[:, depths]
    lengths = np.maximum(np.linalg.norm(taken, axis=2, keepdims=True), 1e-12)
    return np.ascontiguousarray((taken / lengths / parts**0.5).reshape(len(vectors), -1), np.float32)


class _VectorLearner(Learner):
    """The loss is the squared distance to the target."""

    def __init__(self, encoder: BertEncoder, rows: list[Ints], targets: Float) -> None:
        super().__init__(encoder, np.array([len(row) for row in rows], np.int64), np.ones(len(rows)))
        self._rows, self._targets = rows, torch.as_tensor(targets)

    def loss(self, rows: Ints) -> Tensor:
        ids, mask = pad([self._rows[place] for place in rows])
        device = next(self.module.parameters()).device
        found = self.module(
            torch.as_tensor(ids, device=device), torch.as_tensor(mask, dtype=torch.float32, device=device)
        )
        return torch.square(found - self._targets[torch.as_tensor(rows)].to(device)).sum()
