"""The export gate: equal answers where they are fixed, equal scores where they vary."""

import numpy as np
import pytest

from rung.building.export_gate import scores_differ
from rung.core.metrics.base import MacroF1, MeanMetric
from rung.core.types import Examples, Field, Prediction, Schema

SCHEMA = Schema((Field("x", "text", "input"),), (Field("label", "category", "output", ("a", "b")),))
RIGHT = MeanMetric("accuracy", lambda truth, answer: float(truth == answer.value), binary=True)


def drawn(rng, truths, right):
    """Return answers that are right with this probability, drawn anew each time."""
    other = {"a": "b", "b": "a"}
    return [Prediction(t if rng.random() < right else other[t]) for t in truths]


def examples(n):
    truths = ["a" if i % 2 else "b" for i in range(n)]
    return Examples(
        SCHEMA, {"x": [""] * n}, truths, [f"{i:016x}" for i in range(n)], list(range(n)), [0.0] * n
    )


@pytest.mark.parametrize("metric", [RIGHT, MacroF1("macro_f1")], ids=["mean", "no mean"])
def test_sound_exports_pass_and_broken_ones_do_not(metric):
    rows, rng = examples(200), np.random.default_rng(0)
    runs = 200 if metric is RIGHT else 20
    refused = sum(
        scores_differ(metric, rows, drawn(rng, rows.targets, 0.8), drawn(rng, rows.targets, 0.8))
        for _ in range(runs)
    )
    assert refused <= runs * 0.02
    caught = sum(
        scores_differ(metric, rows, drawn(rng, rows.targets, 0.8), drawn(rng, rows.targets, 0.5))
        for _ in range(runs)
    )
    assert caught >= runs * 0.95


def test_a_better_export_and_equal_answers_pass():
    rows, rng = examples(100), np.random.default_rng(1)
    fitted = drawn(rng, rows.targets, 0.7)
    assert not scores_differ(RIGHT, rows, fitted, fitted)
    assert not scores_differ(RIGHT, rows, fitted, [Prediction(t) for t in rows.targets])
