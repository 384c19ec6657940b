"""The sections of a spec about money and time: `budget`, `limits` and `costs`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rung.core.spec.data import Section

Effort = Literal[0, 1, 2, 3, 4, 5]


class Limits(Section):
    """Ceilings a rung must keep, as measured on the packed bundle here."""

    latency_ms: float | None = Field(default=None, gt=0, description="p95 of one prediction, milliseconds")
    size_mb: float | None = Field(default=None, gt=0, description="bundle on disk, megabytes")
    memory_mb: float | None = Field(default=None, gt=0, description="peak memory of the predicting process")
    usd_per_1k: float | None = Field(default=None, gt=0, description="price of 1,000 predictions")

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
    """What an error costs, in any unit: answers and thresholds then go by it."""

    false_negative: float = Field(gt=0, le=1e12, description="missing one of the positive label")
    false_positive: float = Field(gt=0, le=1e12, description="a false alarm")
    positive: str | None = Field(
        default=None,
        min_length=1,
        description="the label that matters; default: yes of yes and no, else the rarer one",
    )


class Budget(Section):
    """How much may be spent on choosing."""

    effort: Effort = Field(
        default=2, description="the one dial, 0 to 5: docs/reference/product.md has its table"
    )
    minutes: float | None = Field(default=None, gt=0, description="stop climbing after this long")
    threads: int | None = Field(default=None, ge=1, le=256, description="cores to use; default: all of them")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="of the fits that can use a GPU; auto: the GPU where torch finds one"
    )
