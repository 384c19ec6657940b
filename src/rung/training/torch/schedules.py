"""Learning-rate schedules: the factor of the highest rate at each point of training."""

from __future__ import annotations

import math

from rung.core.training_params import Schedule

# The one-cycle policy starts at a 25th of the highest rate and ends at a 10,000th of that, as in torch.
_START, _END = 1 / 25, 1 / 25 / 1e4


def rate_factor(schedule: Schedule, warmup: float, progress: float) -> float:
    """Return the factor of the highest learning rate. progress: share of training that is done, in [0, 1].

    During `warmup` the factor rises linearly from 0, for "one_cycle" along a cosine from 1/25 (Smith 2018). After it
    "linear" and "cosine" (Loshchilov & Hutter 2017) fall to 0, "one_cycle" to 4e-6; "constant" stays.
    """
    done = min(max(progress, 0.0), 1.0)
    if done < warmup:
        if schedule == "one_cycle":
            return _cosine(_START, 1.0, done / warmup)
        return done / warmup
    left = (done - warmup) / (1.0 - warmup)
    if schedule == "linear":
        return 1.0 - left
    if schedule == "cosine":
        return _cosine(1.0, 0.0, left)
    if schedule == "one_cycle":
        return _cosine(1.0, _END, left)
    return 1.0


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * done))
