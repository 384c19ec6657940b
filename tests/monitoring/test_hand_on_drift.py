"""A cascade that hands on more rows than at its build alarms; one that hands on as many does not."""

from dataclasses import replace

import numpy as np

from rung.core.messages import LANGUAGES
from rung.core.spec.drift import DriftSpec
from rung.core.types import Prediction
from rung.monitoring.drift.reference import (
    DriftReference,
    PredictionReference,
    fit_input_reference,
    fit_prediction_reference,
)
from rung.monitoring.drift_monitor import DriftMonitor, start_period
from rung.pages.drift import test_name as name_of
from served_rows import TEXT, manifest, row

ROWS = [f"row {i} about {word}" for i, word in enumerate(["soup", "bread", "goal", "match"] * 100)]


def reference(handed):
    inputs, counts, rows = fit_input_reference(TEXT, {"text": ROWS}, 0)
    rng = np.random.default_rng(0)
    by = np.where(rng.random(len(ROWS)) < handed, "llm_prompt", "tfidf_linear").tolist()
    answers = [Prediction("a", 0.9, answered_by=name) for name in by]
    return DriftReference(
        inputs, counts, rows, fit_prediction_reference(TEXT, ["a"] * len(ROWS), answers), []
    )


def alarms(handed, seed=1, rows=1500):
    found = reference(0.2)
    rng = np.random.default_rng(seed)
    served = [
        replace(row(i, {"text": ROWS[i % 400]}), answered_by="llm_prompt" if sent else "tfidf_linear")
        for i, sent in enumerate(rng.random(rows) < handed)
    ]
    spec = DriftSpec()
    period = start_period(found, manifest(TEXT), spec)
    DriftMonitor(period, found, manifest(TEXT), spec.false_alarms).add_predictions(served)
    return {item.key for item in period.tests if item.alarm}


def test_a_rising_share_of_the_dear_stage_alarms_and_a_steady_one_does_not():
    assert "by:llm_prompt" in alarms(0.45)
    assert not any(key.startswith("by:") for key in alarms(0.2))


def test_shares_of_who_answered_come_back_and_are_named():
    kept = reference(0.2).predictions
    assert set(kept.answered_by) == {"llm_prompt", "tfidf_linear"}
    assert PredictionReference.from_dict(kept.as_dict()).answered_by == kept.answered_by
    old = {key: value for key, value in kept.as_dict().items() if key != "answered_by"}
    assert PredictionReference.from_dict(old).answered_by == {}
    alone = fit_prediction_reference(TEXT, ["a"], [Prediction("a", 0.9, answered_by="tfidf_linear")])
    assert alone.answered_by == {}
    for lang in LANGUAGES:
        assert "llm_prompt" in name_of({"what": "by", "name": "llm_prompt"}, lang)
