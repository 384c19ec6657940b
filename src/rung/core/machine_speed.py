"""Time a fixed piece of work, so that planned seconds can be told for this machine."""

from __future__ import annotations

import time

import numpy as np

# Seconds of `_work` on the machine whose seconds `Model.cost` plans with: one core of an AMD EPYC with AVX-512.
_REFERENCE_SECONDS = 0.0105
_REPEATS = 15


def relative_seconds() -> float:
    """Return how many times as long as the reference machine this one takes, on one core; 0.2 seconds of work.

    The fastest of several repeats counts: what other programs take is not the machine's speed.
    """
    taken = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        _work()
        taken.append(time.perf_counter() - begun)
    return min(taken) / _REFERENCE_SECONDS


def _work() -> None:
    """Do what fits do: products of dense matrices, sorting of hashes, counting in dictionaries."""
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((256, 256)).astype(np.float32)
    for _ in range(4):
        dense = np.tanh(dense @ dense.T / 256)
    hashes = rng.integers(0, 1 << 24, 60_000)
    hashes.sort()
    counts: dict[int, int] = {}
    for bucket in hashes[:20_000].tolist():
        counts[bucket] = counts.get(bucket, 0) + 1
