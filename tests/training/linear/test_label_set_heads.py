"""Heads for rows with several labels: calibrated probabilities, thresholds for the bar's metric, and what they survive."""

import numpy as np
import pytest

from rung.core.errors import BundleError
from rung.core.model import FitContext
from rung.runtime.linear.head import Calibration, LinearHead
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.label_sets import (
    calibrate_sets,
    choose_thresholds,
    platt,
    sample_rows,
    search_and_fit_sets,
    set_score,
)

LABELS = ("a", "b", "c")


def drawn(n=600, seed=0):
    """Three labels, one of them rare, that follow directions of eight features, with noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8))
    directions = 1.5 * np.random.default_rng(7).normal(size=(8, 3))
    scores = x @ directions + (0.0, -1.0, -4.0) + rng.logistic(size=(n, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True), (scores > 0).astype(float)


@pytest.mark.parametrize("kind", ["ridge", "svc", "logistic"])
def test_every_head_learns_and_is_calibrated(kind, tmp_path):
    x, marks = drawn()
    test_x, test_marks = drawn(4_000, 1)
    fitted = search_and_fit_sets(
        {"x": FeatureMatrix((x,))}, marks, [(kind, 10.0)], FitContext(goal="micro_f1"), LABELS
    )
    name, head, chosen = fitted
    assert name == "x" and set(chosen["thresholds"]) == set(LABELS) and chosen["head"] == kind
    head.save(tmp_path, {}, {})
    again = LinearHead.load(tmp_path, LABELS)[0]
    assert again.calibration == head.calibration
    chances = head.calibration.apply(test_x @ head.weights + head.bias)
    said = chances >= np.array(head.calibration.thresholds)
    constant = np.ones_like(test_marks)
    assert set_score(test_marks, said, "micro_f1") > set_score(test_marks, constant, "micro_f1") + 0.05
    assert np.abs(chances.mean(axis=0) - test_marks.mean(axis=0)).max() < 0.07


def test_thresholds_follow_the_goal():
    x, marks = drawn(3_000)
    rng = np.random.default_rng(1)
    chances = np.clip(0.7 * marks + 0.3 * rng.random(marks.shape) - 0.1 * rng.random(marks.shape), 0, 1) * 0.6
    by_goal = {
        goal: choose_thresholds(chances, marks, goal)
        for goal in ("micro_f1", "macro_f1", "f1:a", "hamming_loss")
    }
    assert len(set(by_goal["micro_f1"])) == 1 and set(by_goal["hamming_loss"]) == {0.5}
    assert len(set(by_goal["macro_f1"])) == 3
    for goal, cut in by_goal.items():
        other = np.full(3, 0.9)
        assert set_score(marks, chances >= cut, goal) >= set_score(marks, chances >= other, goal)
    rare = marks.copy()
    rare[:, 2] = 0
    rare[:5, 2] = 1
    found = choose_thresholds(chances, rare, "macro_f1")
    assert found[2] == choose_thresholds(chances, rare, "micro_f1")[0]


def test_platt_survives_labels_that_all_or_none_have_and_perfect_scores():
    marks = np.column_stack([np.ones(50), np.zeros(50), np.r_[np.ones(25), np.zeros(25)]])
    scores = np.column_stack(
        [np.full(50, 3.0), np.full(50, -3.0), np.r_[np.full(25, 8.0), np.full(25, -8.0)]]
    )
    slopes, offsets = platt(scores, marks)
    chances = 1 / (1 + np.exp(-(scores * slopes + offsets)))
    assert np.isfinite(chances).all() and chances[0, 2] > 0.9 > 0.1 > chances[-1, 2]
    worse = platt(-scores, marks)
    assert worse[0][2] == pytest.approx(1e-3)


def test_a_label_without_rows_is_never_given():
    x, marks = drawn(200)
    marks[:, 1] = 0
    _, head, _ = search_and_fit_sets({"x": FeatureMatrix((x,))}, marks, [("svc", 1.0)], FitContext(), LABELS)
    chances = head.calibration.apply(x @ head.weights + head.bias)
    assert (chances[:, 1] < np.array(head.calibration.thresholds)[1]).all()


def test_a_temperature_corrects_a_network_that_is_too_sure():
    x, marks = drawn(3_000)
    rng = np.random.default_rng(2)
    honest = rng.normal(size=marks.shape) + np.where(marks > 0, 1.0, -1.0)
    found = calibrate_sets(honest * 6.0, marks, "micro_f1")
    assert found.kind == "sigmoid" and found.scale < 0.6 and len(found.thresholds) == 3


def test_a_sample_keeps_rare_labels():
    marks = np.zeros((2_000, 3))
    marks[:, 0] = 1
    marks[1_500:1_503, 2] = 1
    rows = sample_rows(marks, 100, 0)
    assert len(rows) == 100 and marks[rows, 2].sum() == 2 and (np.diff(rows) > 0).all()


def test_thresholds_that_do_not_fit_the_labels_are_refused():
    with pytest.raises(BundleError, match="2 thresholds do not fit 3 labels"):
        Calibration.from_facts({"kind": "sigmoid", "scale": 1.0, "thresholds": [0.5, 0.5]}, 3, "bundle")
    with pytest.raises(BundleError, match="3 thresholds do not fit 3 labels"):
        Calibration.from_facts({"kind": "temperature", "scale": 1.0, "thresholds": [0.5] * 3}, 3, "bundle")
