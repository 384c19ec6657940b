"""The drift report as JSON: the source of the terminal output, the page and the alert."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rung.core.manifest import Manifest
from rung.core.spec.drift import DriftSpec
from rung.monitoring.drift.binning import SCRIPTS, CategoryBins, QuantileBins
from rung.monitoring.drift.mean_test import MeanTest
from rung.monitoring.drift.reference import DriftReference
from rung.monitoring.drift_monitor import MonitoredTest, MonitoringPeriod, is_error
from rung.monitoring.drift_state import DriftState

if TYPE_CHECKING:
    from rung.journal.reader import LoggedFeedback

FORMAT = 1
# Most bars of a chart, without those for other and missing values.
_MAX_BARS = 10


def drift_report(
    manifest: Manifest,
    spec: DriftSpec,
    state: DriftState,
    reference: DriftReference,
    feedback: Sequence[LoggedFeedback],
) -> dict[str, Any]:
    """Return the state of all tests.

    evidence and needed are log10 of the capital: 3 means 1,000 times the stake.
    """
    period = state.period
    tests = [_test_facts(item, period, spec, reference) for item in period.tests]
    tests.sort(key=lambda test: (not test["alarmed"], test["needed"] - test["evidence"]))
    alarms = sorted((item.alarm for item in period.tests if item.alarm), key=lambda alarm: alarm["at"])
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
        "feedback": _feedback_counts(feedback, period, reference, manifest),
        "ended": state.ended,
    }


def _test_facts(
    item: MonitoredTest, period: MonitoringPeriod, spec: DriftSpec, reference: DriftReference
) -> dict[str, Any]:
    measure, _, name = item.key.partition(":")
    capital = item.test.capital
    log_10 = math.log(10)
    found: dict[str, Any] = {
        "key": item.key,
        "kind": item.kind,
        "what": measure,
        "name": name,
        "rows": capital.rows,
        "evidence": round(capital.peak / log_10, 3),
        "needed": round(period.alarm_threshold(item, spec.false_alarms) / log_10, 3),
        "alarmed": item.alarm is not None,
        "trail": [[rows, round(value / log_10, 3)] for rows, value in item.history.points],
    }
    if isinstance(item.test, MeanTest):
        return found | {"mean": item.test.mean, "low": item.test.low, "high": item.test.high}
    served = item.test.counts - item.test.initial_counts
    return found | {"bars": _bars(item, served, reference)}


def _bars(item: MonitoredTest, served: np.ndarray, reference: DriftReference) -> list[dict[str, Any]]:
    """Return a statistic's shares in the reference and in the served rows, in at most twelve groups."""
    before = item.test.initial_counts  # type: ignore[union-attr]
    if item.key == "answer" and reference.predictions.label_counts:
        # For the chart only: the test compares served answers with each other.
        held_out = reference.predictions.label_counts
        before = np.array(
            [held_out.get(label, 0) for label in getattr(reference.predictions.value_bins, "names", ())] + [0]
        )
    names, groups = _groups(item, reference, len(served))
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


def _groups(item: MonitoredTest, reference: DriftReference, size: int) -> tuple[list[Any], list[list[int]]]:
    """Return the name and the bins of each bar. A name is text, or {low, high} of an interval."""
    measure = item.key.partition(":")[0]
    binned = next((s.binning for s in reference.inputs.statistics if s.key == item.key), None)
    if item.key == "answer":
        binned = reference.predictions.value_bins
    if item.key == "sureness":
        binned = reference.predictions.confidence_bins
    if measure == "script":
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
        # The reference stores hashes of categories only, so they are named by their rank of frequency.
        return [*(f"#{i + 1}" for i in range(shown)), "others", "missing"], [
            *([i] for i in range(shown)), list(range(shown, size - 1)), [size - 1]
        ]  # fmt: skip
    labels = list(getattr(binned, "names", ()))[:_MAX_BARS]
    shown_as = [f"#{int(label) + 1}" if measure == "topic" else label for label in labels]
    return [*shown_as, "others"], [*([i] for i in range(len(labels))), list(range(len(labels), size))]


def _feedback_counts(
    feedback: Sequence[LoggedFeedback],
    period: MonitoringPeriod,
    reference: DriftReference,
    manifest: Manifest,
) -> dict[str, dict[str, int]]:
    """Return the number of reviewed and of correct rows, of the random audit and of all others."""
    found = {"audit": {"rows": 0, "right": 0}, "chosen": {"rows": 0, "right": 0}}
    output = manifest.schema.outputs[0].name
    for item in feedback:
        if item.at >= period.since:
            part = found["audit" if item.source == "audit" else "chosen"]
            part["rows"] += 1
            part["right"] += not is_error(item, reference, output)
    return found
