"""A tiny regression for tests of the trainer: rows of ten numbers, a network of one hidden layer."""

import numpy as np
import torch
from torch import nn

from rung.training.torch.learner import Learner
from rung.training.torch.losses import regression_loss


class Lines(Learner):
    """Learns a fixed linear function. scale: of the loss; noise: whether the module has dropout."""

    def __init__(self, rows=48, dropout=0.0, scale=1.0, scored=False, limit=None, seed=0):
        draw = np.random.default_rng(seed)
        torch.manual_seed(seed)
        parts = [nn.Linear(10, 8), nn.LayerNorm(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1)]
        super().__init__(nn.Sequential(*parts), np.ones(rows, np.int64), np.ones(rows))
        self.inputs = torch.as_tensor(draw.normal(size=(rows, 10)), dtype=torch.float32)
        self.targets = self.inputs[:, 0] - 0.5 * self.inputs[:, 3]
        self.scale, self.scored, self.limit, self.asked = scale, scored, limit, []

    def loss(self, rows):
        if self.limit is not None and len(rows) > self.limit:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        self.asked.append(len(rows))
        index = torch.as_tensor(rows)
        found = self.module(self.inputs[index])[:, 0] * self.scale
        return regression_loss(found, self.targets[index], torch.ones(len(rows)))

    def score(self):
        if not self.scored:
            return None
        with torch.no_grad():
            return -float(torch.square(self.module(self.inputs)[:, 0] - self.targets).mean())


def weights(learner):
    """Return all weights as one vector."""
    return torch.cat([tensor.reshape(-1) for tensor in learner.module.state_dict().values()])
