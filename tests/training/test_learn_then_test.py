"""The threshold of Learn then Test: its claim is wrong at most as often as stated, whatever an adversary does."""

import numpy as np
import pytest

from rung.training.cascade.selective import DELTA, learn_then_test, order_of_tests, rows_needed

ALPHA, TIMES, ROWS = 0.1, 1000, 300


def calibrated(rng, rows):
    """Scores that are the probability of being right."""
    scores = rng.beta(6, 1, rows)
    return scores, rng.random(rows) < scores


def upside_down(rng, rows):
    """The surest answers are the worst."""
    scores = rng.random(rows)
    return scores, rng.random(rows) < 0.97 - 0.12 * scores


def waves(rng, rows):
    """Good and bad scores take turns, so that many thresholds lie just beyond the limit."""
    scores = rng.random(rows)
    return scores, rng.random(rows) < np.where((20 * scores).astype(int) % 2, 0.985, 0.81)


def just_beyond(rng, rows):
    """Every threshold is a little worse than claimed."""
    return rng.random(rows), rng.random(rows) < 1 - ALPHA - 0.002


def lumps(rng, rows):
    """Three scores only, the middle one treacherous."""
    scores = rng.choice([0.2, 0.6, 0.95], rows, p=[0.2, 0.2, 0.6])
    return scores, rng.random(rows) < np.select([scores > 0.9, scores > 0.5], [0.96, 0.72], 0.9)


def orders(draw, rng):
    """The order of a fit, and two that an adversary fixes: upwards, and at random."""
    other = draw(rng, 400)
    levels = np.linspace(0, 0.99, 40)
    return order_of_tests(*other, ROWS, ALPHA), levels.tolist(), rng.permutation(levels).tolist()


@pytest.mark.parametrize("draw", [calibrated, upside_down, waves, just_beyond, lumps])
def test_claims_are_wrong_at_most_as_often_as_stated(draw):
    rng = np.random.default_rng(7)
    truth_scores, truth_right = draw(rng, 200_000)
    order = np.argsort(truth_scores)
    errors_from = np.cumsum(~truth_right[order][::-1])[::-1]
    wrong, low, passed = np.zeros(3), np.zeros(3), np.zeros(3)
    for _ in range(TIMES):
        tried = orders(draw, rng)
        scores, right = draw(rng, ROWS)
        for place, levels in enumerate(tried):
            found = learn_then_test(levels, scores, right, ALPHA)
            if found is None:
                continue
            first = np.searchsorted(truth_scores[order], found.threshold)
            answered = len(order) - first
            passed[place] += 1
            wrong[place] += errors_from[min(first, len(order) - 1)] / max(answered, 1) > ALPHA
            low[place] += found.coverage_bound > answered / len(order)
    assert wrong.max() <= DELTA * TIMES and low.max() <= DELTA * TIMES, (wrong, low)
    if draw is calibrated:
        assert passed[0] > 0.75 * TIMES, "an honest model passes"


def test_a_naive_search_on_the_same_rows_breaks_the_claim():
    """What the test above would show if thresholds were picked by their error alone."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(300):
        scores, right = just_beyond(rng, ROWS)
        levels = [t for t in np.linspace(0, 0.9, 40) if (~right[scores >= t]).mean() <= ALPHA]
        wrong += bool(levels)
    assert wrong > 100


def test_thresholds_are_tried_downwards_from_the_likeliest_and_the_search_stops_at_the_first_failure():
    rng = np.random.default_rng(0)
    order = order_of_tests(*calibrated(rng, 500), 400, 0.1)
    assert order == sorted(order, reverse=True) and 1 < len(order) <= 60
    scores = np.repeat([0.9, 0.7, 0.5], 100)
    right = np.concatenate([np.ones(200), np.zeros(100)]).astype(bool)
    found = learn_then_test([0.9, 0.7, 0.5, 0.0], scores, right, 0.05)
    assert (found.threshold, found.tried, found.error) == (0.7, 3, 0.0)
    assert found.coverage == pytest.approx(2 / 3) and 0.55 < found.coverage_bound < 0.61
    assert learn_then_test([0.5, 0.9], scores, right, 0.05) is None
    assert learn_then_test([], scores, right, 0.05) is None
    assert rows_needed(0.05) == 59 and order_of_tests(np.zeros(0), np.zeros(0, bool), 10, 0.1) == []
