"""What a climb of the ladder ended with: trials, winner, certificate, rungs that were not tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.core import registry
from rung.core.model import Ladder, Rung
from rung.core.priors import expected
from rung.core.unavailable import fix_texts
from rung.runtime.service.ledger import Spending

# Status of a rung that would have been looked at but for a finding in the data.
STOPPED = "stopped by a finding"


@dataclass(frozen=True)
class Findings:
    """What a climb ended with. cascade: of two rungs, proposed where it lies on the Pareto front; {} where none does.

    untried: rungs that could not be on the ladder. unneeded: rungs above the one that cleared, which were not measured.
    """

    trials: Sequence[Mapping[str, Any]]
    winner: str | None
    certificate: Mapping[str, Any] | None
    cleared: bool
    study: Mapping[str, Any] = field(default_factory=dict)
    costs: Mapping[str, Any] = field(default_factory=dict)
    spent: Spending = Spending()
    untried: Sequence[Mapping[str, Any]] = ()
    raced_out: Sequence[Mapping[str, Any]] = ()
    cascade: Mapping[str, Any] = field(default_factory=dict)
    unneeded: Sequence[Mapping[str, Any]] = ()


# Reasons that nothing helps: these rungs do not suit the data or the product.
_UNSUITED = {"english_only", "no_larger_encoder", "no_rules", "no_file"}


def untried(
    task: str, planned: Ladder, rows: int, labels: int, trials: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rungs that were left out before anything was fitted, most promising first: name, range expected, what to do.

    expected: [low, high] of the task's first metric by our prior, or None. Rungs that do not suit the data are no advice.
    """
    floor = next((t for t in trials if t["is_floor"] and t["scores"]), None)
    metric = registry.task(task).default_metric
    least = float(floor["scores"].get(metric, 0.0)) if floor else 0.0
    found = [
        {"rung": name, "metric": metric, "expected": expected(task, (name,), rows / max(labels, 1), least), "fix": fix_texts(error)}
        for name, error in planned.left_out.items()
        if error.key not in _UNSUITED
    ]  # fmt: skip
    return sorted(found, key=lambda item: -(item["expected"] or (0.0, 0.0))[1])


def unneeded(
    task: str, planned: Ladder, rows: int, labels: int, measured: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rungs of the ladder that were not measured: name, metric and range expected of it, planned price.

    measured: trials, and rungs that lost a race. Rungs without a prior are left out.
    """
    floor = next((t for t in measured if t.get("is_floor") and t["scores"]), None)
    metric = registry.task(task).default_metric
    least = float(floor["scores"].get(metric, 0.0)) if floor else 0.0
    known = {item["rung"] for item in measured}
    found = []
    for rung in planned.rungs:
        span = expected(task, (rung.name, rung.model), rows / max(labels, 1), least)
        if rung.name not in known and span is not None:
            found.append(
                {"rung": rung.name, "metric": metric, "expected": span, "usd_per_1k": rung.usd_per_1k}
            )
    return found


def stopping_keys(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys of the data's findings for which nothing is certified; accepted ones are none."""
    return [item.get("key", item["check"]) for item in findings if item["level"] == "stop"]


def failed_trial(rung: Rung, why: str) -> dict[str, Any]:
    """Return what stands in a report for a rung that could not be tried to its end."""
    return {
        "rung": rung.name, "model": rung.model, "is_floor": False, "status": "failed", "problem": why, "scores": {},
        "over_limits": [], "differing": 0, "planned_usd_per_1k": round(rung.usd_per_1k, 9), "chance": None, "certifiable": None,
    }  # fmt: skip
