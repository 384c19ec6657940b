"""Where the time and memory of training go: torch's profiler around the first steps of a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch

from rung.core.errors import FitCancelled, RungError
from rung.core.model import FitContext


@dataclass(frozen=True)
class OperatorTime:
    """An operator: how often it ran, its own CPU and GPU milliseconds, and the megabytes that it allocated."""

    name: str
    calls: int
    cpu_ms: float
    gpu_ms: float
    memory_mb: float


@dataclass(frozen=True)
class TrainingProfile:
    """The profiled steps: their number, seconds, rows per second as the fit reported them, and operators by time."""

    steps: int
    rows_per_s: float
    operators: tuple[OperatorTime, ...]


class _StepCounter:
    """A channel that starts the profiler after the first step, which is slower than others, and ends the fit."""

    def __init__(self, profiler: Any, steps: int) -> None:
        self.profiler, self.steps = profiler, steps
        self.seen, self.rows_per_s = 0, 0.0

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self.seen += 1
        self.rows_per_s = float(metrics.get("rows_per_s", 0.0))
        if self.seen == 1:
            self.profiler.start()
        elif self.seen == self.steps + 1:
            self.profiler.stop()

    def cancelled(self) -> bool:
        return self.seen > self.steps


def profile_fit(fit: Callable[[FitContext], Any], context: FitContext, steps: int) -> TrainingProfile:
    """Return where the time of `steps` steps of a fit went; the fit is cancelled after them.

    Raises RungError for a fit that reports fewer steps.
    """
    activities = [torch.profiler.ProfilerActivity.CPU]
    if context.device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    profiler = torch.profiler.profile(activities=activities, profile_memory=True)
    counter = _StepCounter(profiler, steps)
    with suppress(FitCancelled):
        fit(replace(context, channel=counter, scratch=None))  # type: ignore[arg-type]
    if counter.seen <= steps:
        if counter.seen:
            profiler.stop()
        raise RungError(
            f"the fit reported {counter.seen} steps, and {steps + 1} are needed", "steps",
            "Profile a network, or fewer steps.",
        )  # fmt: skip
    found = [
        OperatorTime(
            event.key, event.count, event.self_cpu_time_total / 1000,
            float(getattr(event, "self_device_time_total", 0.0)) / 1000,
            max(event.self_cpu_memory_usage, 0) / 1e6,
        )
        for event in profiler.key_averages()
    ]  # fmt: skip
    found.sort(key=lambda one: -(one.cpu_ms + one.gpu_ms))
    return TrainingProfile(steps, counter.rows_per_s, tuple(found))
