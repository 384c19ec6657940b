"""Estimate how long a build takes on this machine, from the planned costs of its rungs and the machine's speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.model import DataFacts, Rung

# To read, split and check: of a build, a row and a character of its inputs.
_START_SECONDS, _ROW_SECONDS, _CHAR_SECONDS = 1.0, 2e-4, 2.5e-6
# To pack a rung and measure it in a fresh process: beside the start, so many answers.
_PACK_SECONDS, _MEASURED_ANSWERS = 2.0, 250
# The learning curve of the winner, as a share of a fit on all rows.
_CURVE_SHARE = 0.9


@dataclass(frozen=True)
class BuildTime:
    """Seconds on this machine. rungs: of each rung, cheapest first. whole: if every rung is measured on all rows.

    first: up to the cheapest rung that may reach the bar, `first_rung`; both are None and "" where none is expected to.
    relative: how many times as long as the reference machine this one takes.
    """

    relative: float
    data: float
    rungs: Mapping[str, float]
    whole: float
    first: float | None
    first_rung: str

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as plan.json holds it, in whole seconds."""
        return {
            "relative": round(self.relative, 2),
            "data_seconds": round(self.data),
            "whole_seconds": round(self.whole),
            "first_seconds": None if self.first is None else round(self.first),
            "first_rung": self.first_rung,
        }


def build_time(
    rungs: Sequence[Rung], facts: DataFacts, reach: Mapping[str, bool], relative: float
) -> BuildTime:
    """Return the estimate for a ladder. reach: of each rung, whether it is expected to reach the bar."""
    data = relative * (_START_SECONDS + facts.rows * (_ROW_SECONDS + facts.chars_per_row * _CHAR_SECONDS))
    each = {rung.name: relative * _rung_seconds(rung, rungs[:place]) for place, rung in enumerate(rungs)}
    first = next((rung for rung in rungs if reach.get(rung.name)), None)
    upto = rungs[: rungs.index(first) + 1] if first else rungs
    return BuildTime(
        relative,
        data,
        each,
        data + sum(each.values()) + relative * max((_curve_seconds(rung) for rung in rungs), default=0.0),
        data + sum(each[rung.name] for rung in upto) + relative * _curve_seconds(first) if first else None,
        first.name if first else "",
    )


def _rung_seconds(rung: Rung, before: Sequence[Rung]) -> float:
    """Return the seconds of all fits of a rung, of packing and of measuring it, on the reference machine.

    before: the rungs measured earlier. What is kept by content and planned to take exactly as long is of the same encoder.
    """
    planned = rung.planned
    kept = (
        planned.cached_seconds
        if planned.cached_seconds in {r.planned.cached_seconds for r in before}
        else 0.0
    )
    again = (rung.fits - 1) * min(planned.refit_seconds, planned.fit_seconds)
    return (
        planned.fit_seconds
        - kept
        + again
        + _PACK_SECONDS
        + _MEASURED_ANSWERS * planned.cpu_seconds_per_1k / 1000
    )


def _curve_seconds(rung: Rung) -> float:
    return _CURVE_SHARE * min(rung.planned.refit_seconds, rung.planned.fit_seconds)
