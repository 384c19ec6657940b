"""The estimated bound: how often it is too high on few units, and what it says of none."""

import math

import numpy as np
import pytest

from rung.core.stats.confidence_bounds import FEWEST_UNITS, bootstrap_lower

ALPHA = 0.05


def too_high(draw, truth, score, n, products=120):
    """Return the share of products whose bound lies above the truth."""
    rng = np.random.default_rng(n)
    wrong = 0
    for seed in range(products):
        x = draw(rng, n)
        wrong += bootstrap_lower(lambda rows, x=x: score(x[rows]), range(n), ALPHA, seed) > truth
    return wrong / products


def plain_quantile(x, seed):
    """What the bound was before: the quantile of the resamples alone."""
    rng = np.random.default_rng(seed)
    drawn = x[rng.integers(0, len(x), (2_000, len(x)))]
    return np.quantile(-np.sqrt((drawn**2).mean(axis=1)), ALPHA)


def test_rmse_on_few_rows_errs_about_as_often_as_it_says():
    def rmse(x):
        return -math.sqrt((x**2).mean())

    # The binomial spread of 120 products is 0.02.
    assert too_high(lambda rng, n: rng.standard_normal(n), -1.0, rmse, 40) <= 2.5 * ALPHA
    rng = np.random.default_rng(1)
    heavy = [rng.standard_t(4, 40) for _ in range(120)]
    now = [bootstrap_lower(lambda r, x=x: rmse(x[r]), range(40), ALPHA, 0) > -math.sqrt(2) for x in heavy]
    before = [plain_quantile(x, 0) > -math.sqrt(2) for x in heavy]
    assert sum(now) < 0.75 * sum(before)


def test_means_of_groups_err_about_as_often_as_they_say():
    def groups(rng, n):
        return rng.binomial(10, np.where(rng.random(n) < 0.9, 0.99, 0.4)) / 10

    assert too_high(groups, 0.9 * 0.99 + 0.1 * 0.4, np.mean, 60) <= 2.5 * ALPHA


def test_fewer_than_20_units_have_no_bound():
    values = np.linspace(0.0, 1.0, 200)
    few = [f"{i % (FEWEST_UNITS - 1):02d}" for i in range(200)]
    enough = [f"{i % FEWEST_UNITS:02d}" for i in range(200)]
    assert bootstrap_lower(lambda rows: values[rows].mean(), few, ALPHA, 0) == -math.inf
    assert bootstrap_lower(lambda rows: values[rows].mean(), enough, ALPHA, 0) == pytest.approx(0.5, abs=0.1)


def test_a_symmetric_score_on_many_rows_has_the_normal_bound():
    x = np.random.default_rng(0).standard_normal(2_000)
    found = bootstrap_lower(lambda rows: x[rows].mean(), range(2_000), ALPHA, 0)
    assert found == pytest.approx(x.mean() - 1.645 / math.sqrt(2_000), abs=0.004)
