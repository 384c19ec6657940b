"""The tests of drift are what they say: false alarms stay below the stated rate for ever, and what drifts is found."""

import json
import math

import numpy as np
import pytest

from rung.monitoring.drift.betting import CapitalProcess, log_release_weights, unreleased_share
from rung.monitoring.drift.mean_test import MeanTest, chernoff_interval
from rung.monitoring.drift.rank_test import MISSING, N_BETS, RankTest


def streams(count, rows, reference_rows, bins, seed):
    """Peaks of the log capital on quiet streams: a fresh source, reference and stream each time."""
    rng = np.random.default_rng(seed)
    peaks = []
    for _ in range(count):
        source = rng.dirichlet(np.full(bins, 0.5))
        test = RankTest.from_counts(np.bincount(rng.choice(bins, reference_rows, p=source), minlength=bins))
        test.update(rng.choice(bins, rows, p=source), rng.random(rows))
        peaks.append(test.capital.peak)
    return np.array(peaks)


@pytest.mark.parametrize("reference_rows", [0, 20, 500])
def test_quiet_streams_alarm_no_more_often_than_stated(reference_rows):
    """However small the reference is: its error of estimation is no drift."""
    peaks = streams(150, 1_500, reference_rows, 25, seed=reference_rows)
    for alpha in (0.2, 0.05):
        alarms, most = (peaks >= math.log(1 / alpha)).sum(), alpha * 150
        assert alarms <= most + 3 * math.sqrt(most), alpha


@pytest.mark.slow
def test_a_thousand_long_quiet_streams():
    peaks = streams(1_000, 5_000, 100, 30, seed=9)
    for alpha in (0.1, 0.05, 0.01):
        alarms, most = (peaks >= math.log(1 / alpha)).sum(), alpha * 1_000
        assert alarms <= most + 3 * math.sqrt(most), alpha


def test_ranking_against_the_reference_alone_would_alarm_for_nothing():
    """What the bag is for: p-values against a small fixed reference drift by its error, and a long stream finds that."""
    rng, alarms = np.random.default_rng(1), 0
    for _ in range(20):
        reference = np.sort(rng.random(50))
        v = (np.searchsorted(reference, rng.random(4_000)) + rng.random(4_000)) / 51
        factors = RankTest.from_counts(np.ones(2))._log_factors(v.clip(1e-12, 1 - 1e-12))
        alarms += CapitalProcess.initial(N_BETS).update(factors).max() >= math.log(20)
    assert alarms >= 10  # of which 1 would be stated


@pytest.mark.parametrize("quiet", [0, 300, 3_000])
def test_a_shift_is_found_soon_however_late_it_comes(quiet):
    rng, delays = np.random.default_rng(quiet), []
    for _ in range(5):
        edges = np.quantile(rng.normal(size=800), np.linspace(0, 1, 31)[1:-1])
        test = RankTest.from_counts(np.bincount(np.digitize(rng.normal(size=800), edges), minlength=30))
        stream = np.digitize(np.r_[rng.normal(size=quiet), rng.normal(1.0, size=400)], edges)
        over = np.flatnonzero(test.update(stream, rng.random(len(stream))) >= math.log(1_000))
        assert len(over)
        delays.append(over[0] - quiet)
    assert 0 <= np.median(delays) < 120


def test_a_category_in_the_middle_that_becomes_frequent_is_found():
    """No shift up or down: the learner finds it."""
    rng = np.random.default_rng(2)
    before, after = np.full(12, 1 / 12), np.r_[np.full(5, 0.06), 0.34, np.full(6, 0.06)]
    test = RankTest.from_counts(rng.multinomial(500, before))
    evidence = test.update(rng.choice(12, 600, p=after), rng.random(600))
    assert evidence.max() > math.log(1_000)


def test_the_order_of_portions_does_not_matter_and_it_survives_a_file():
    rng = np.random.default_rng(3)
    bins, uniform = rng.integers(0, 8, 400), rng.random(400)
    whole, parts = (RankTest.from_counts(np.full(8, 10)) for _ in range(2))
    evidence = whole.update(bins, uniform)
    found = []
    for begin in range(0, 400, 50):
        found.append(parts.update(bins[begin : begin + 50], uniform[begin : begin + 50]))
        parts = RankTest.from_dict(json.loads(json.dumps(parts.as_dict())))
    np.testing.assert_allclose(np.concatenate(found), evidence, atol=1e-9)
    assert parts.counts.tolist() == whole.counts.tolist() and parts.capital.peak == whole.capital.peak


def test_rows_without_a_value_change_nothing():
    test = RankTest.from_counts(np.full(4, 5))
    evidence = test.update(np.array([MISSING, 1, MISSING, MISSING]), np.full(4, 0.5))
    assert evidence[0] == pytest.approx(0) and evidence[1] == evidence[2] == evidence[3]
    assert test.capital.rows == 1 and test.counts.sum() == 21


def test_the_capital_released_never_exceeds_one():
    assert np.exp(log_release_weights(0, 100_000)).sum() + unreleased_share(100_000) == pytest.approx(1)


def test_a_mean_inside_its_interval_is_left_alone_and_one_outside_is_found():
    rng = np.random.default_rng(4)
    quiet = [MeanTest(0.1, 0.3).update(rng.random(2_000) < 0.3).max() for _ in range(100)]
    assert np.mean(np.array(quiet) >= math.log(20)) <= 0.05 + 0.07
    for share in (0.02, 0.5):
        assert MeanTest(0.1, 0.3).update(rng.random(600) < share).max() > math.log(1_000)
    with pytest.raises(ValueError, match="must lie in"):
        MeanTest(0.1, 0.3).update(np.array([1.5]))


def test_an_open_side_is_never_bet_against():
    test = MeanTest(0.0, 0.4)
    assert test.update(np.zeros(500)).max() < math.log(2)


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.5, 1.0])
def test_chernoff_covers(rate):
    rng, missed = np.random.default_rng(5), 0
    for _ in range(400):
        low, high = chernoff_interval(rng.binomial(60, rate) / 60, 60, 0.1)
        missed += not low <= rate <= high
    assert missed <= 0.1 * 400 and chernoff_interval(0.3, 0, 0.1) == (0.0, 1.0)
