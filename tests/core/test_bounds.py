"""Bounds: exact ones never err more often than alpha, by enumeration where it can be done, else by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from rung.core.metrics.base import MacroF1, MeanMetric, RocAuc
from rung.core.stats import confidence_bounds
from rung.core.types import Field, Prediction, Schema

ALPHA = 0.05
LABELS = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("a", "b", "c")),))


def most_errors(draws, alpha):
    """The count that a valid bound exceeds less than once in 100,000 runs of a test."""
    return int(binom.isf(1e-5, draws, alpha))


@pytest.mark.parametrize("alpha", [0.05, 0.01, 1e-6])
@pytest.mark.parametrize("n", [1, 2, 7, 59, 400])
def test_proportion_errs_at_most_alpha_at_every_truth(n, alpha):
    lower = np.array([confidence_bounds.proportion_lower(hits, n, alpha) for hits in range(n + 1)])
    # Just below each bound is where that bound starts to be wrong: nowhere is the error larger.
    for truth in [*np.linspace(0.001, 0.999, 97), *(lower[lower > 0] * (1 - 1e-9))]:
        wrong = lower > truth
        assert binom.pmf(np.flatnonzero(wrong), n, truth).sum() <= alpha * (1 + 1e-6)


def test_proportion_is_the_largest_valid_bound():
    for hits, n in [(1, 1), (3, 10), (57, 60), (380, 400)]:
        lower = confidence_bounds.proportion_lower(hits, n, ALPHA)
        assert binom.sf(hits - 1, n, lower) == pytest.approx(ALPHA, rel=1e-9)


@pytest.mark.parametrize("alpha", [1e-12, 1e-100, 0.05 * 2.0**-1000])
def test_proportion_at_the_tiny_errors_of_late_looks(alpha):
    previous = 0.0
    for hits in range(0, 401, 20):
        lower = confidence_bounds.proportion_lower(hits, 400, alpha)
        assert math.isfinite(lower) and previous <= lower < 1.0
        previous = lower
    assert confidence_bounds.proportion_lower(400, 400, alpha) == pytest.approx(
        math.exp(math.log(alpha) / 400)
    )


def test_nothing_is_claimed_without_rows_or_hits():
    assert confidence_bounds.proportion_lower(0, 0, ALPHA) == 0.0
    assert confidence_bounds.proportion_lower(0, 10, ALPHA) == 0.0
    assert confidence_bounds.f1_lower(0, 0, ALPHA) == 0.0
    assert (
        confidence_bounds.macro_f1_lower([(0, 0), (5, 0)], ALPHA)
        == confidence_bounds.f1_lower(5, 0, ALPHA / 2) / 2
    )
    assert confidence_bounds.auc_lower(np.zeros(0), np.ones(3), ALPHA, 0) == 0.0
    assert confidence_bounds.mean_lower(np.zeros(0), -1.0, 1.0, ALPHA) == -1.0


def test_59_faultless_rows_certify_95_percent_and_58_do_not():
    assert confidence_bounds.proportion_lower(59, 59, ALPHA) >= 0.95
    assert confidence_bounds.proportion_lower(58, 58, ALPHA) < 0.95
    assert confidence_bounds.rows_needed(1.0, 0.95, ALPHA) == 59


@given(st.integers(1, 500), st.data(), st.floats(1e-9, 0.5))
@settings(max_examples=100, deadline=None)
def test_proportion_grows_with_hits_and_error_and_shrinks_with_misses(n, data, alpha):
    hits = data.draw(st.integers(0, n))
    lower = confidence_bounds.proportion_lower(hits, n, alpha)
    assert 0.0 <= lower <= hits / n
    assert lower <= confidence_bounds.proportion_lower(hits + 1, n + 1, alpha) + 1e-12
    assert lower >= confidence_bounds.proportion_lower(hits, n + 1, alpha) - 1e-12
    assert lower <= confidence_bounds.proportion_lower(hits, n, min(2 * alpha, 0.9)) + 1e-12


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_mean_grows_with_the_error_and_stays_below_the_mean(values, data):
    x = np.array(values)
    lower = confidence_bounds.mean_lower(x, 0.0, 1.0, 0.05)
    assert 0.0 <= lower <= x.mean() + 1e-9
    # Against a tighter demand the stakes differ, so only the ends are ordered for certain.
    assert confidence_bounds.mean_lower(x, 0.0, 1.0, 1e-30) <= x.mean() + 1e-9
    scaled = confidence_bounds.mean_lower(3.0 + 4.0 * x, 3.0, 7.0, 0.05)
    assert scaled == pytest.approx(3.0 + 4.0 * lower, abs=1e-6)


def test_f1_errs_at_most_alpha_by_enumeration():
    n = 30
    cells = [(tp, m) for tp in range(n + 1) for m in range(n + 1 - tp)]
    lower = {cell: confidence_bounds.f1_lower(*cell, ALPHA) for cell in cells}
    for p_tp, p_miss in [(0.3, 0.1), (0.05, 0.01), (0.9, 0.05), (0.01, 0.2), (0.5, 0.5), (0.02, 0.0005)]:
        truth = 2 * p_tp / (2 * p_tp + p_miss)
        wrong = 0.0
        for tp, miss in cells:
            if lower[tp, miss] > truth:
                wrong += binom.pmf(tp + miss, n, p_tp + p_miss) * binom.pmf(
                    tp, tp + miss, p_tp / (p_tp + p_miss)
                )
        assert wrong <= ALPHA


@pytest.mark.parametrize(
    "joint",
    [
        [[0.3, 0.03, 0.0], [0.02, 0.3, 0.02], [0.0, 0.03, 0.3]],
        [[0.9, 0.03, 0.0], [0.02, 0.03, 0.0], [0.01, 0.0, 0.01]],
        [[0.97, 0.0, 0.0], [0.0, 0.028, 0.0], [0.002, 0.0, 0.0]],
    ],
    ids=["even", "skewed", "rare class never found"],
)
def test_macro_f1_errs_at_most_alpha(joint):
    table = np.array(joint)
    table /= table.sum()
    f1 = 2 * table.diagonal() / (table.sum(0) + table.sum(1))
    draws = np.random.default_rng(1).multinomial(200, table.ravel(), size=1500).reshape(-1, 3, 3)
    wrong = 0
    for counts in draws:
        tp = counts.diagonal()
        misses = counts.sum(0) + counts.sum(1) - 2 * tp
        wrong += confidence_bounds.macro_f1_lower(list(zip(tp, misses, strict=True)), ALPHA) > f1.mean()
    assert wrong <= most_errors(len(draws), ALPHA)


def _auc_truth(p, q):
    """AUC of discrete scores with these probabilities, a tie counting half."""
    return sum(p[i] * (sum(q[:i]) + q[i] / 2) for i in range(len(p)))


@pytest.mark.parametrize(
    ("positive", "negative", "share"),
    [([0.1, 0.2, 0.7], [0.6, 0.3, 0.1], 0.5), ([0.0, 0.02, 0.98], [0.97, 0.02, 0.01], 0.05),
     ([0.5, 0.5], [0.5, 0.5], 0.5), ([0.3, 0.7], [1.0, 0.0], 0.3)],
    ids=["even", "rare positives", "coin with ties", "one-sided"],
)  # fmt: skip
def test_auc_errs_at_most_alpha(positive, negative, share):
    rng = np.random.default_rng(2)
    wrong, draws = 0, 1500
    truth = _auc_truth(positive, negative)
    for draw in range(draws):
        pos = rng.binomial(120, share)
        a = rng.choice(len(positive), pos, p=positive).astype(float)
        b = rng.choice(len(negative), 120 - pos, p=negative).astype(float)
        wrong += confidence_bounds.auc_lower(a, b, ALPHA, draw) > truth
    assert wrong <= most_errors(draws, ALPHA)


def _betting_is_wrong(rows, truth, alpha):
    """Whether the betting bound of each row of values exceeds the truth: she is ruined there, or not."""
    return np.array([confidence_bounds.mean_lower(row, 0.0, 1.0, alpha) > truth for row in rows])


@pytest.mark.parametrize("draw", [
    lambda rng, shape: (rng.random(shape) < 0.9).astype(float),
    lambda rng, shape: (rng.random(shape) < 0.02).astype(float),
    lambda rng, shape: np.where(rng.random(shape) < 0.03, 0.0, 0.95),
    lambda rng, shape: np.where(rng.random(shape) < 0.005, 0.0, 1.0),
    lambda rng, shape: rng.beta(0.05, 0.05, shape),
    lambda rng, shape: rng.beta(8, 2, shape),
    lambda rng, shape: np.full(shape, 0.7),
], ids=["coin", "rare ones", "rare zeros", "rarer zeros", "two ends", "smooth", "constant"])  # fmt: skip
@pytest.mark.parametrize("alpha", [0.05, 0.003])
def test_mean_errs_at_most_alpha(draw, alpha):
    rng = np.random.default_rng(3)
    truth = float(draw(np.random.default_rng(4), 2_000_000).mean())
    rows = draw(rng, (500, 80))
    # The truth itself is drawn, exactly enough not to matter.
    assert _betting_is_wrong(rows, truth + 1e-3, alpha).sum() <= most_errors(len(rows), alpha)


def test_mean_errs_at_most_alpha_by_enumeration():
    n, alpha = 7, 0.2
    for values, chances in [((0.0, 1.0), (0.3, 0.7)), ((0.0, 0.9), (0.1, 0.9)), ((0.2, 1.0), (0.95, 0.05))]:
        truth = sum(v * p for v, p in zip(values, chances, strict=True))
        wrong = 0.0
        for picks in itertools.product((0, 1), repeat=n):
            if confidence_bounds.mean_lower(np.array([values[i] for i in picks]), 0.0, 1.0, alpha) > truth:
                wrong += math.prod(chances[i] for i in picks)
        assert wrong <= alpha


def test_mean_refuses_values_outside_its_range():
    for values in ([0.5, 1.2], [-0.1, 0.5], [math.nan, 0.5]):
        with pytest.raises(ValueError, match="must lie in"):
            confidence_bounds.mean_lower(np.array(values), 0.0, 1.0, ALPHA)


def test_rows_needed_suffice_and_hardly_fewer_do():
    for rate, bar in [(1.0, 0.95), (0.97, 0.95), (0.95, 0.9), (0.99, 0.9), (0.93, 0.92)]:
        n = confidence_bounds.rows_needed(rate, bar, 0.025)
        assert n is not None
        assert confidence_bounds.proportion_lower(math.ceil(rate * n), n, 0.025) >= bar
        assert confidence_bounds.proportion_lower(math.floor(rate * (n - 1)), n - 1, 0.025) < bar
    assert confidence_bounds.rows_needed(0.9, 0.9, ALPHA) is None
    assert confidence_bounds.rows_needed(0.9001, 0.9, ALPHA, most=10_000) is None


@given(st.floats(0.6, 1.0), st.floats(0.5, 0.95))
@settings(max_examples=60, deadline=None)
def test_a_better_model_needs_no_more_rows(rate, bar):
    needed = confidence_bounds.rows_needed(rate, bar, ALPHA)
    better = confidence_bounds.rows_needed(min(rate + 0.01, 1.0), bar, ALPHA)
    if needed is not None:
        assert better is not None and better <= needed


def _answers(values, probabilities=None):
    extra = probabilities or [{}] * len(values)
    return [Prediction(v, extra=e) for v, e in zip(values, extra, strict=True)]


def _unit(number):
    return f"{number:016x}"


def test_grouped_rows_count_as_groups():
    metric = MeanMetric("accuracy", lambda t, a: float(t == a.value), binary=True)
    truths, answers = ["a"] * 100, _answers(["a"] * 100)
    alone = metric.bound(truths, answers, LABELS, [_unit(i) for i in range(100)], ALPHA)
    grouped = metric.bound(truths, answers, LABELS, [_unit(i // 10) for i in range(100)], ALPHA)
    assert alone.value == confidence_bounds.proportion_lower(100, 100, ALPHA)
    assert grouped.value == confidence_bounds.mean_lower(np.ones(10), 0.0, 1.0, ALPHA)
    assert grouped.exact and grouped.value < alone.value
    assert (
        not MacroF1("macro_f1")
        .bound(truths, answers, LABELS, [_unit(i // 10) for i in range(100)], ALPHA)
        .exact
    )


def test_the_bound_is_chosen_by_the_metric_never_by_the_values():
    """Taking Clopper-Pearson only when all values happen to be 0 or 1 would spend the error of both bounds."""
    metric = MeanMetric("overlap", lambda t, a: a.value)
    units = [_unit(i) for i in range(40)]
    found = metric.bound([0] * 40, _answers([1.0] * 40), LABELS, units, ALPHA)
    assert found.value == confidence_bounds.mean_lower(np.ones(40), 0.0, 1.0, ALPHA)


def test_one_unit_claims_next_to_nothing():
    metric = MeanMetric("accuracy", lambda t, a: float(t == a.value), binary=True)
    one = metric.bound(["a"] * 50, _answers(["a"] * 50), LABELS, [_unit(1)] * 50, ALPHA)
    assert one.value <= ALPHA + 1e-9
    rows = MacroF1("macro_f1").bound(["a"], _answers(["a"]), LABELS, [_unit(1)], ALPHA)
    assert rows.value < 0.05


def test_bounds_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(5)
    schema = Schema(LABELS.inputs, (Field("label", "category", "output", ("a", "b")),))
    truths = rng.choice(["a", "b"], 60).tolist()
    shares = [{"probabilities": np.array([p, 1 - p])} for p in rng.random(60)]
    units = [_unit(int(i)) for i in rng.integers(0, 2**62, 60)]
    metric = MeanMetric("share", lambda t, a: float(a.extra["probabilities"][0]))
    answers = _answers(truths, shares)
    order = rng.permutation(60).tolist()

    def shuffled(column):
        return [column[i] for i in order]

    for m in (metric, RocAuc("a")):
        first = m.bound(truths, answers, schema, units, ALPHA)
        again = m.bound(shuffled(truths), shuffled(answers), schema, shuffled(units), ALPHA)
        assert first.value == pytest.approx(again.value), m.name


def test_an_estimated_bound_falls_with_the_error_of_every_look():
    values = np.random.default_rng(6).random(150)
    groups = [_unit(i // 2) for i in range(150)]

    def score(rows):
        return float(values[rows].mean())

    found = [confidence_bounds.bootstrap_lower(score, groups, 0.05 / 4.0**look, 0) for look in range(12)]
    assert all(later < earlier for earlier, later in itertools.pairwise(found))
    assert values.mean() - 0.06 < found[0] < values.mean()
    assert math.isfinite(confidence_bounds.bootstrap_lower(score, groups, 0.05 * 2.0**-1000, 0))
