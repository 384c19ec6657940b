"""Learning-rate range test (Smith 2017): raise the rate at every step until the loss rises."""

from __future__ import annotations

import copy
import math

import torch

from rung.core.training_params import TrainingParams
from rung.training.torch.batching import plan_batches
from rung.training.torch.learner import Learner
from rung.training.torch.optimizers import make_optimizer

_LOW, _HIGH, _STEPS = 1e-6, 1.0, 80
# Smoothing of the loss; the test ends where the smoothed loss is this many times its lowest.
_BETA, _DIVERGED = 0.9, 4.0
_FALLBACK = 1e-3


def learning_rate_range(learner: Learner, params: TrainingParams, seed: int) -> list[tuple[float, float]]:
    """Return (learning rate, smoothed loss) of each step; the module is left as it was."""
    kept = copy.deepcopy(learner.module.state_dict())
    optimizer = make_optimizer(learner.module, params, 1.0)
    batches = plan_batches(learner.lengths, params.batch_rows, params.batch_tokens, seed, 0)
    found: list[tuple[float, float]] = []
    smoothed, lowest = 0.0, math.inf
    learner.module.train()
    with torch.random.fork_rng(devices=[]):
        for step in range(_STEPS):
            rate = _LOW * (_HIGH / _LOW) ** (step / (_STEPS - 1))
            rows = batches[step % len(batches)]
            for group in optimizer.param_groups:
                group["lr"] = group["full_lr"] * rate
            optimizer.zero_grad(set_to_none=True)
            loss = learner.loss(rows) / max(float(learner.weights[rows].sum()), 1e-12)
            loss.backward()  # type: ignore[no-untyped-call]
            if params.clip:
                torch.nn.utils.clip_grad_norm_(learner.module.parameters(), params.clip)
            optimizer.step()
            smoothed = _BETA * smoothed + (1.0 - _BETA) * float(loss.detach())
            shown = smoothed / (1.0 - _BETA ** (step + 1))
            if not math.isfinite(shown) or shown > _DIVERGED * lowest:
                break
            lowest = min(lowest, shown)
            found.append((rate, shown))
    learner.module.load_state_dict(kept)
    return found


def find_learning_rate(learner: Learner, params: TrainingParams, seed: int) -> float:
    """Return a tenth of the rate at which the smoothed loss is lowest; 1e-3 when the test ends at once."""
    tested = learning_rate_range(learner, params, seed)
    if len(tested) < 5:
        return _FALLBACK
    return min(tested, key=lambda pair: pair[1])[0] / 10.0
