"""What is known of drift, as a value that is ready for JSON: terminal, page and alert are made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.core.manifest import Manifest
from rung.core.spec.drift import DriftSpec
from rung.journal.served_rows import FeedbackVerdict
from rung.monitoring.drift.binning import SCRIPTS, CategoryBins, QuantileBins
from rung.monitoring.drift.mean_test import MeanTest
from rung.monitoring.drift.reference import DriftReference
from rung.monitoring.drift_monitor import MonitoredTest, MonitoringPeriod, is_error
from rung.monitoring.drift_state import DriftState

FORMAT = 1
# Bars of a picture.
_MAX_BARS = 10


def drift_report(
    manifest: Manifest,
    spec: DriftSpec,
    state: DriftState,
    reference: DriftReference,
    said: Sequence[FeedbackVerdict],
) -> dict[str, Any]:
    """Return everything that a look found. evidence is in powers of ten: 3 is 1,000 times the stake."""
    period = state.period
    tests = [_test(item, period, spec, reference) for item in period.tests]
    tests.sort(key=lambda test: (not test["alarmed"], test["needed"] - test["evidence"]))
    alarms = sorted((w.alarm for w in period.tests if w.alarm), key=lambda alarm: alarm["at"])
    return {
        "format": FORMAT,
        "model": manifest.name,
        "version": manifest.version,
        "drifted": bool(alarms),
        "false_alarms": spec.false_alarms,
        "tolerance": spec.tolerance,
        "period": {
            "number": period.number,
            "against": period.compared_with,
            "rows": period.rows,
            "repeats": period.repeats,
            "first_at": period.first_at,
            "last_at": period.last_at,
        },
        "reference_rows": reference.rows,
        "without_input": dict(period.without_input),
        "not_watched": list(reference.unmonitored),
        "alarms": alarms,
        "tests": tests,
        "feedback": _feedback(said, period, reference, manifest),
        "ended": state.ended,
    }


def _test(
    watched: MonitoredTest, period: MonitoringPeriod, spec: DriftSpec, reference: DriftReference
) -> dict[str, Any]:
    what, _, name = watched.key.partition(":")
    capital = watched.test.capital
    ten = math.log(10)
    found: dict[str, Any] = {
        "key": watched.key,
        "kind": watched.kind,
        "what": what,
        "name": name,
        "rows": capital.rows,
        "evidence": round(capital.peak / ten, 3),
        "needed": round(period.alarm_threshold(watched, spec.false_alarms) / ten, 3),
        "alarmed": watched.alarm is not None,
        "trail": [[rows, round(value / ten, 3)] for rows, value in watched.history.points],
    }
    if isinstance(watched.test, MeanTest):
        return found | {"mean": watched.test.mean, "low": watched.test.low, "high": watched.test.high}
    served = watched.test.counts - watched.test.initial_counts
    return found | {"bars": _bars(watched, served, reference)}


def _bars(watched: MonitoredTest, served: np.ndarray, reference: DriftReference) -> list[dict[str, Any]]:
    """Return a statistic's shares in the reference and in what was served, in at most a dozen groups."""
    before = watched.test.initial_counts  # type: ignore[union-attr]
    if watched.key == "answer" and reference.predictions.label_counts:
        # To look at: the test itself holds answers against each other.
        held_out = reference.predictions.label_counts
        before = np.array(
            [held_out.get(label, 0) for label in getattr(reference.predictions.value_bins, "names", ())] + [0]
        )
    names, groups = _groups(watched, reference, len(served))
    found = []
    for name, members in zip(names, groups, strict=True):
        expected, seen = int(before[members].sum()), int(served[members].sum())
        if expected or seen:
            found.append(
                {
                    "name": name,
                    "expected": round(expected / before.sum(), 5) if before.sum() else None,
                    "seen": round(seen / max(served.sum(), 1), 5),
                }
            )
    return found


def _groups(
    watched: MonitoredTest, reference: DriftReference, size: int
) -> tuple[list[Any], list[list[int]]]:
    """Return what each bar stands for and its bins. A name is text, or {low, high} of an interval."""
    what = watched.key.partition(":")[0]
    binned = next((s.binning for s in reference.inputs.statistics if s.key == watched.key), None)
    if watched.key == "answer":
        binned = reference.predictions.value_bins
    if watched.key == "sureness":
        binned = reference.predictions.confidence_bins
    if what == "script":
        return [*(name.title() if name.isupper() else name for name in SCRIPTS)], [
            [3 * i, 3 * i + 1, 3 * i + 2] for i in range(len(SCRIPTS))
        ]
    if isinstance(binned, QuantileBins) and len(binned.edges):
        parts = [part.tolist() for part in np.array_split(np.arange(size - 1), min(_MAX_BARS, size - 1))]
        edges = binned.edges.tolist()
        names: list[Any] = [
            {"low": edges[part[0] - 1] if part[0] else None, "high": edges[part[-1]] if part[-1] < len(edges) else None}
            for part in parts
        ]  # fmt: skip
        return [*names, "missing"], [*parts, [size - 1]]
    if isinstance(binned, CategoryBins):
        shown = min(_MAX_BARS, len(binned.hashes))
        # Which categories these are stands in no file of the reference: they are known by how frequent they were.
        return [*(f"#{i + 1}" for i in range(shown)), "others", "missing"], [
            *([i] for i in range(shown)), list(range(shown, size - 1)), [size - 1]
        ]  # fmt: skip
    labels = list(getattr(binned, "names", ()))[:_MAX_BARS]
    shown_as = [f"#{int(label) + 1}" if what == "topic" else label for label in labels]
    return [*shown_as, "others"], [*([i] for i in range(len(labels))), list(range(len(labels), size))]


def _feedback(
    said: Sequence[FeedbackVerdict], period: MonitoringPeriod, reference: DriftReference, manifest: Manifest
) -> dict[str, dict[str, int]]:
    """Return how many reviewed rows were right: of the random audit, and of all others."""
    found = {"audit": {"rows": 0, "right": 0}, "chosen": {"rows": 0, "right": 0}}
    output = manifest.schema.outputs[0].name
    for item in said:
        if item.at >= period.since:
            part = found["audit" if item.source == "audit" else "chosen"]
            part["rows"] += 1
            part["right"] += not is_error(item, reference, output)
    return found
