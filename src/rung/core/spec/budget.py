"""The sections `budget`, `limits` and `costs`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rung.core.spec.data import Section

Effort = Literal[0, 1, 2, 3, 4, 5]


class Limits(Section):
    """Upper limits for a rung, measured on the packed bundle on this machine."""

    latency_ms: float | None = Field(
        default=None, gt=0, description="95th percentile of the latency of one prediction, milliseconds"
    )
    size_mb: float | None = Field(default=None, gt=0, description="size of the bundle, megabytes")
    memory_mb: float | None = Field(
        default=None, gt=0, description="peak memory of the predicting process, megabytes"
    )
    usd_per_1k: float | None = Field(default=None, gt=0, description="price of 1,000 predictions, USD")

    def broken_by(self, latency_ms: float, size_mb: float, memory_mb: float, usd_per_1k: float) -> list[str]:
        """Return the limits that these measurements exceed, each as `name measured > limit`."""
        measured = {
            "latency_ms": latency_ms,
            "size_mb": size_mb,
            "memory_mb": memory_mb,
            "usd_per_1k": usd_per_1k,
        }
        limits = self.model_dump(exclude_none=True)
        return [
            f"{key} {measured[key]:g} > {limit:g}" for key, limit in limits.items() if measured[key] > limit
        ]


class Costs(Section):
    """Costs of errors, in any unit; predictions and thresholds then minimise the expected cost."""

    false_negative: float = Field(gt=0, le=1e12, description="cost of missing a positive")
    false_positive: float = Field(gt=0, le=1e12, description="cost of a false alarm")
    positive: str | None = Field(
        default=None,
        min_length=1,
        description="the positive label; default: yes of yes and no, else the rarer label",
    )


class Budget(Section):
    """Limits for the search."""

    effort: Effort = Field(
        default=2, description="search effort, 0 to 5; see the table in docs/reference/product.md"
    )
    minutes: float | None = Field(default=None, gt=0, description="stop climbing after so many minutes")
    threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="CPU threads of a fit; default: all cores, shared by `workers`",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="fits at the same time on this machine, each in a process of its own with `threads` threads; default: 1, "
        "without a further process; Ray that rung starts here: as many as there are cores for",
    )
    ahead: int = Field(
        default=0,
        ge=0,
        le=20,
        description="while a rung is measured, fit the folds of so many rungs above it, where workers are idle: faster, at the "
        "price of fits that may turn out not to be needed; only with several workers or Ray, within `minutes`",
    )
    usd: float = Field(
        default=5.0,
        ge=0,
        le=1e6,
        description="maximum charge of services in one build, USD; the build stops before the call that could exceed it",
    )
    indifference_usd_per_1m: float = Field(
        default=0.03,
        ge=0,
        le=1e9,
        description="prices of a million predictions that differ by at most so many USD count as equal: among rungs that "
        "may clear the bar at equal prices the one with the best score ships; 0: always the cheapest",
    )
    race: bool = Field(
        default=True,
        description="before a rung is fitted on all rows for 30 seconds or more, race it on a fifth of the training rows: "
        "one without a chance to clear the bar, or to lead by a point, is left out; `--all-rungs` measures every rung",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="device of fits that can use a GPU; auto: the GPU if torch finds one"
    )

    def threads_of(self, cores: int) -> int:
        """Return the threads of one fit on a machine of so many cores."""
        return self.threads or max(cores // (self.workers or 1), 1)
