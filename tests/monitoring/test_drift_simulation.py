"""Whole quiet periods of real texts alarm no more often than stated; with the bag left out the same test would fail."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rung.core.spec.drift import DriftSpec
from rung.core.types import Field, Prediction, Schema
from rung.monitoring.drift.mean_test import MeanTest
from rung.monitoring.drift.reference import DriftReference, fit_prediction_reference
from rung.monitoring.drift.statistics import InputStatistics
from rung.monitoring.drift_monitor import DriftMonitor, start_period
from served_rows import manifest, row

ALARMS = 0.1
COUNTED, STREAM = 300, 700


@pytest.fixture(scope="module")
def texts(news_folder):
    """Every different article of BBC news with its class, in no order."""
    found = {}
    for folder in sorted(p for p in news_folder.iterdir() if p.is_dir()):
        for path in sorted(folder.glob("*.txt")):
            found[" ".join(path.read_bytes().decode("utf-8", "replace").split())[:400]] = folder.name
    return list(found.items())


class LookedUp:
    """A sketch whose bins of all rows are known already: a row's text is its number."""

    def __init__(self, sketch, bins):
        self.statistics, self._bins = sketch.statistics, bins

    def assign_bins(self, schema, columns):
        places = np.array([int(cell) for cell in columns["text"]])
        return {key: found[places] for key, found in self._bins.items()}


def periods(texts, worlds, streams, skew):
    """Peaks, as shares of what an alarm needs, of whole periods of quiet rows: each world has a sketch of its own,
    each stream a fresh deal of the remaining rows into counted ones and served ones.

    skew: answers are nearly all one label, and their true share stands at the very end of the interval.
    """
    draw, found = np.random.default_rng(7), []
    names = ("common", "rare") if skew else tuple(sorted({label for _, label in texts}))
    schema = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", names),))
    for _ in range(worlds):
        order = draw.permutation(len(texts))
        learned, rest = order[:800], order[800 : 800 + COUNTED + STREAM]
        sketch = InputStatistics.fit(
            schema, {"text": [texts[i][0] for i in learned]}, int(draw.integers(1 << 30))
        )
        bins = sketch.assign_bins(schema, {"text": [texts[i][0] for i in rest]})
        known = LookedUp(sketch, bins)
        for _ in range(streams):
            dealt = draw.permutation(len(rest))
            counted, served = dealt[:COUNTED], dealt[COUNTED:]
            counts = {
                s.key: np.bincount(bins[s.key][counted], minlength=s.binning.n_bins)
                for s in sketch.statistics
            }
            labels = [texts[rest[i]][1] for i in dealt] if not skew else ["common"] * len(dealt)
            held_out = [
                Prediction(label, float(p))
                for label, p in zip(labels, draw.beta(8, 2, COUNTED), strict=False)
            ]
            answers = fit_prediction_reference(schema, labels[:COUNTED], held_out)
            reference = DriftReference(known, counts, COUNTED, answers, [])
            period = start_period(reference, manifest(schema), DriftSpec())
            if skew:
                share = next(item for item in period.tests if item.key == "share:rare")
                rare = draw.random(STREAM) < share.test.high
                labels = ["common"] * COUNTED + ["rare" if is_rare else "common" for is_rare in rare]
            rows = [
                row(nth, {"text": str(i)}, labels[COUNTED + nth], float(p))
                for nth, (i, p) in enumerate(zip(served, draw.beta(8, 2, STREAM), strict=True))
            ]
            DriftMonitor(period, reference, manifest(schema), ALARMS).add_predictions(rows)
            assert not period.repeats and period.tests[0].test.capital.rows == STREAM
            found.append(any(item.alarm for item in period.tests))
    return np.array(found)


@pytest.mark.parametrize("skew", [False, True])
def test_quiet_periods_of_real_texts(texts, skew):
    alarms = periods(texts, 2, 15, skew)
    assert alarms.sum() <= 30 * ALARMS + 3 * math.sqrt(30 * ALARMS)


@pytest.mark.slow
@pytest.mark.parametrize("skew", [False, True])
def test_a_thousand_quiet_periods_of_real_texts(texts, skew):
    alarms = periods(texts, 10, 100, skew)
    assert alarms.sum() <= 1_000 * ALARMS + 3 * math.sqrt(1_000 * ALARMS)


def test_a_class_nobody_trained_on_is_found(texts):
    """Power: without one class in training and reference, its articles are drift within a hundred rows or so."""
    draw = np.random.default_rng(3)
    known = [text for text, label in texts if label != "sports"]
    new = [text for text, label in texts if label == "sports"]
    order = [known[i] for i in draw.permutation(len(known))]
    schema = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("a", "b")),))
    sketch = InputStatistics.fit(schema, {"text": order[:600]})
    bins = sketch.assign_bins(schema, {"text": order[600:1_000]})
    counts = {s.key: np.bincount(bins[s.key], minlength=s.binning.n_bins) for s in sketch.statistics}
    reference = DriftReference(
        sketch, counts, 400, fit_prediction_reference(schema, ["a"], [Prediction("a", 0.9)]), []
    )
    reference = replace(reference, predictions=replace(reference.predictions, rows=0, confidence_bins=None))
    period = start_period(reference, manifest(schema), DriftSpec())
    stream = order[1_000:1_300] + new[:150]
    DriftMonitor(period, reference, manifest(schema), 0.01).add_predictions(
        [row(i, {"text": t}) for i, t in enumerate(stream)]
    )
    alarms = [item.alarm["rows"] for item in period.tests if item.alarm]
    assert alarms and 300 < min(alarms) < 420


def test_a_mean_at_the_end_of_its_interval_is_quiet():
    draw, alarms = np.random.default_rng(11), 0
    for _ in range(200):
        test = MeanTest(0.02, 0.12)
        alarms += test.update(draw.random(1_500) < 0.12).max() >= math.log(1 / ALARMS)
    assert alarms <= 200 * ALARMS + 3 * math.sqrt(200 * ALARMS)
    assert test.mean == pytest.approx(0.12, abs=0.03)
