"""Confident learning against worked examples and planted noise; the interval holds the planted rate as it says."""

import numpy as np
import pytest

from rung.data.labels.confident_learning import confident_joint, error_rate, find_label_issues


def test_the_joint_of_a_worked_example():
    """Ten rows a label; two called 0 are surely 1: the joint says 2 of 20, and the others keep their label."""
    codes = np.repeat([0, 1], 10)
    sure = np.array([[0.9, 0.1]] * 8 + [[0.05, 0.95]] * 2 + [[0.1, 0.9]] * 10)
    joint = confident_joint(codes, sure)
    # The mean of label 0 is (8 * 0.9 + 2 * 0.05) / 10 = 0.73, of label 1 0.9: all rows reach one.
    assert joint == pytest.approx(np.array([[0.4, 0.1], [0.0, 0.5]]))
    found = find_label_issues(codes, sure)
    assert sorted(found.rows.tolist()) == [8, 9] and found.suggested.tolist() == [1, 1]
    assert found.margin == pytest.approx([0.9, 0.9])


def test_clean_labels_and_labels_without_rows():
    codes = np.repeat([0, 2], 20)
    sure = np.tile([0.98, 0.01, 0.01], (20, 1)).tolist() + np.tile([0.01, 0.01, 0.98], (20, 1)).tolist()
    found = find_label_issues(codes, np.array(sure))
    assert len(found.rows) == 0
    rate = error_rate(codes, np.array(sure))
    assert rate.value == rate.low == 0.0 and 0.05 < rate.high < 0.12


def planted(rng, rows, labels, rate, overlap):
    """Rows of Gaussian classes with their exact out-of-sample probabilities, and labels of which `rate` are wrong."""
    centres = np.eye(labels) * 6
    right = rng.integers(0, labels, rows)
    # Among hard texts, spread that no model sees through.
    points = centres[right] + rng.normal(0, overlap, (rows, labels))
    logits = points @ centres.T / overlap**2 - (centres**2).sum(1) / (2 * overlap**2)
    clean = np.exp(logits - logits.max(1, keepdims=True))
    clean /= clean.sum(1, keepdims=True)
    # What a model learns from noisy labels: the clean answer mixed with the noise.
    noisy = clean * (1 - rate) + (1 - clean) * rate / (labels - 1)
    wrong = rng.random(rows) < rate
    codes = np.where(wrong, (right + rng.integers(1, labels, rows)) % labels, right)
    return codes, noisy, right, wrong


@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("overlap", [1.0, 3.0])
def test_the_interval_holds_the_planted_rate(labels, rate, overlap):
    """300 data sets each: the rate lies outside in at most 5 %, three standard errors allowed for.

    overlap 3 makes a model err in 5 to 20 % of the rows, so that the interval is wide and the premise of the low end,
    that the surest rows are answered rightly, is strained as real texts strain it.
    """
    rng = np.random.default_rng(7)
    outside = 0
    for _ in range(300):
        codes, probabilities, _, wrong = planted(rng, 800, labels, rate, overlap)
        found = error_rate(codes, probabilities)
        # The interval speaks of the rate labels go wrong at; these rows' own share varies about it.
        outside += not found.low <= rate <= found.high
        assert found.low <= found.value <= found.high
    assert outside <= 300 * 0.05 + 3 * (300 * 0.05 * 0.95) ** 0.5, outside


def test_planted_labels_come_first():
    rng = np.random.default_rng(1)
    codes, probabilities, right, wrong = planted(rng, 2_000, 4, 0.1, 1.5)
    found = find_label_issues(codes, probabilities)
    top = found.rows[: int(wrong.sum())]
    assert wrong[top].mean() > 0.9
    assert (found.suggested[:50] == right[found.rows[:50]]).mean() > 0.95
    assert (np.diff(found.margin) <= 0).all()
    assert abs(error_rate(codes, probabilities).value - wrong.mean()) < 0.03


def test_small_and_single():
    one = error_rate(np.zeros(3, int), np.ones((3, 1)))
    assert one.value == 0.0 and one.high < 0.75
    assert len(find_label_issues(np.zeros(0, int), np.zeros((0, 2))).rows) == 0
