"""The paired check: what it asks, what it spends, and that its first outcome stands."""

import numpy as np
import pytest

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError
from rung.core.metrics.base import LogLoss, MeanMetric
from rung.core.metrics.classification import ExpectedCost
from rung.core.metrics.scored import ScoredRows
from rung.core.stats.confidence_bounds import average_exceeds, mean_exceeds, mean_lower
from rung.core.types import Field, Prediction, Schema
from rung.improvement.noninferiority_test import (
    FRESH,
    REUSED,
    Comparison,
    fresh_alpha,
    fresh_rows_for_equal,
    is_comparable,
    noninferiority_test,
    reused_alpha,
    row_scores,
    rows_needed,
)

SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("bad", "good")),))
PAIR = Comparison("news", "accuracy", "old", "new", 0.02, 0.95)
BINARY = Comparison("news", "accuracy", "old", "new", 0.02, 0.95, is_binary=True)


@pytest.fixture
def lock(tmp_path):
    return CertificateLock(tmp_path / "certificate.lock")


def rows(count, begin=0):
    return [f"{i + 1:016x}" for i in range(begin, begin + count)]


def test_the_errors_of_a_life_sum_to_the_one_stated():
    assert sum(fresh_alpha(PAIR, j, 0) for j in range(10_000)) < 0.05
    assert (
        sum(fresh_alpha(PAIR, 0, k) for k in range(50))
        <= fresh_alpha(PAIR, 0, 0) * 4 / 3 + 1e-12
        <= 0.025 + 1e-9
    )
    assert sum(reused_alpha(PAIR, m) for m in range(60)) <= 0.05 + 1e-12


def test_deciding_is_the_bound_in_one_bet():
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = rng.choice([-1.0, 0.0, 1.0], 100, p=[0.1, 0.7, 0.2])
        alpha, least = rng.uniform(0.001, 0.2), rng.uniform(-0.3, 0.3)
        bound = mean_lower(values, -1.0, 1.0, alpha)
        if abs(bound - least) > 1e-6:
            assert mean_exceeds(values, least, -1.0, 1.0, alpha) == (bound > least)


def test_equal_answers_pass_where_rows_suffice(lock):
    needed = rows_needed(0.02, reused_alpha(PAIR, 0))
    same = np.ones(needed)
    few = noninferiority_test(REUSED, PAIR, rows(needed - 1), (same[1:], same[1:]), lock)
    assert not few.passed and few.rows_needed == needed
    other = CertificateLock(lock.path.with_name("other.lock"))
    assert noninferiority_test(REUSED, PAIR, rows(needed), (same, same), other).passed


def test_equal_answers_pass_on_as_many_fresh_rows_as_are_asked_for_and_better_ones_on_fewer(lock):
    """The number is known before any answer; it grows with each test."""
    needed = fresh_rows_for_equal("news", 0.02, 0.95, lock)
    assert needed == 197
    same = np.ones(needed)
    other = CertificateLock(lock.path.with_name("other.lock"))
    assert not noninferiority_test(FRESH, BINARY, rows(needed - 1), (same[1:], same[1:]), other).passed
    assert noninferiority_test(FRESH, BINARY, rows(needed), (same, same), lock).passed
    champion = np.r_[np.zeros(3), np.ones(57)]
    better = CertificateLock(lock.path.with_name("better.lock"))
    assert noninferiority_test(FRESH, BINARY, rows(60), (champion, same[:60]), better).passed
    assert (
        fresh_rows_for_equal("news", 0.02, 0.95, lock)
        > needed
        == fresh_rows_for_equal("shop", 0.02, 0.95, lock)
    )


def test_each_use_of_the_same_rows_costs_half_and_asking_again_nothing(lock):
    same = np.ones(600)
    first = noninferiority_test(REUSED, PAIR, rows(600), (same, same), lock)
    again = noninferiority_test(REUSED, PAIR, rows(600), (same, same), lock)
    assert first == again and len(lock.looks()) == 1 and first.alpha == pytest.approx(0.025)
    second = noninferiority_test(
        REUSED, Comparison("news", "accuracy", "new", "newer", 0.02, 0.95), rows(600), (same, same), lock
    )
    assert second.alpha == pytest.approx(0.0125) and second.number == 2
    fresh = noninferiority_test(
        FRESH,
        Comparison("news", "accuracy", "new", "newer", 0.02, 0.95),
        rows(600, 5_000),
        (same, same),
        lock,
    )
    assert fresh.alpha == pytest.approx(0.75 * 0.025) and fresh.number == 1


def test_a_worse_challenger_fails_and_publishes_nothing_but_that(lock):
    worse = np.ones(1_000)
    worse[:60] = 0.0
    found = noninferiority_test(FRESH, PAIR, rows(1_000), (np.ones(1_000), worse), lock)
    (look,) = lock.looks()
    assert (
        not found.passed
        and look["outcome"] == "failed"
        and look["published"] is None
        and look["transcripts"] == 1
    )


def test_without_rows_it_says_so(lock):
    with pytest.raises(RungError, match="there are no reused rows to compare on"):
        noninferiority_test(REUSED, PAIR, [], (np.zeros(0), np.zeros(0)), lock)


def test_worth_is_a_share_of_the_range_and_one_is_best():
    cost = ExpectedCost("expected_cost", "bad", 5.0, 1.0)
    truths, answers = ["bad", "bad", "good"], [Prediction("bad"), Prediction("good"), Prediction("bad")]
    rows = ScoredRows(truths, answers, SCHEMA, ["a", "b", "c"], {})
    assert row_scores(cost, rows).tolist() == pytest.approx([1.0, 0.0, 0.8])
    right = MeanMetric("accuracy", lambda t, a: float(t == a.value), binary=True)
    assert row_scores(right, rows).tolist() == [1.0, 0.0, 0.0]
    assert is_comparable(cost) and is_comparable(right) and not is_comparable(LogLoss("log_loss"))


def test_groups_over_time_are_compared_without_taking_them_for_alike(lock):
    groups = rows(600) * 5
    one = (np.random.default_rng(0).random(len(groups)) < 0.9).astype(float)
    same = noninferiority_test(REUSED, PAIR, groups, (one, one), lock, sampling="fixed")
    assert same.rows == 600 and same.passed == (same.rows_needed <= 600)
    assert same.rows_needed == rows_needed(0.02, same.alpha, "average")
    # Gains come first and losses last: stakes that follow the gains would be high when the losses come.
    gains = np.r_[np.full(150, 0.2), np.full(50, -1.0)]
    assert gains.mean() < -0.05 and mean_exceeds(gains, -0.05, -1.0, 1.0, 0.05)
    assert not average_exceeds(gains, -0.05, -1.0, 1.0, 0.05)


def test_windows_of_a_single_series_are_compared_by_blocks_and_marked(lock):
    blocks = [unit for unit in rows(400) for _ in range(5)]
    one = np.ones(len(blocks))
    found = noninferiority_test(REUSED, PAIR, blocks, (one, one), lock, sampling="blocks")
    assert (found.rows, found.exact) == (400, False)
    assert found.rows_needed == rows_needed(0.02, found.alpha, "average")
    drawn = noninferiority_test(REUSED, PAIR, rows(400), (one[:400], one[:400]), lock)
    assert drawn.exact
