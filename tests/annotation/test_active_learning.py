"""Sampling, the classifier, agreement, and the stopping rule, each against known results."""

import warnings

import numpy as np
import pytest
from scipy.stats import beta
from sklearn.metrics import cohen_kappa_score

from rung.annotation.cohen_kappa import cohen_kappa, pairwise_agreement
from rung.annotation.learning_curve import (
    HeldOutResults,
    forecast_gain,
    held_out_results,
    learning_curve,
    prediction_stability,
    proportion_upper,
)
from rung.annotation.logistic_regression import fit_classifier
from rung.annotation.sampling import cluster_representatives, next_zone, uncertain_and_diverse
from rung.data.labels.consensus import Verdict


@pytest.fixture
def blobs():
    """600 rows around six centres in 20 dimensions; two centres a label."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 20)) * 2
    member = rng.integers(0, 6, 600)
    x = centres[member] + rng.normal(size=(600, 20))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), member % 3, member


def test_clusters_are_covered_before_any_label(blobs):
    x, _, member = blobs
    assert set(member[cluster_representatives(x, 6)]) == set(range(6))
    assert (
        cluster_representatives(x, 6) == cluster_representatives(x, 6)
        and len(cluster_representatives(x[:3], 10)) == 3
        and cluster_representatives(x[:0], 5) == []
    )


def test_useful_rows_are_uncertain_and_unlike(blobs):
    x, _, _ = blobs
    likely = np.tile([0.9, 0.1], (600, 1))
    likely[100:140] = [0.51, 0.49]
    likely[100] = [0.5, 0.5]
    x = x.copy()
    x[101:120] = x[100]  # copies of the most uncertain row are one question
    picked = uncertain_and_diverse(x, likely, np.arange(600), 4)
    assert picked[0] == 100 and set(picked) <= {100, *range(120, 140)} and len(set(picked)) == 4
    assert uncertain_and_diverse(x, likely, np.arange(0), 4) == []


def test_turns_keep_the_shares():
    given = [0, 0, 0]
    names = ["audit", "random", "chosen"]
    order = []
    for _ in range(200):
        order.append(next_zone(tuple(given), 0.2, 0.25))
        given[names.index(order[-1])] += 1
    assert given == [40, 40, 120] and order[0] == "chosen"


def test_the_classifier_has_a_column_for_each_label(blobs):
    x, y, _ = blobs
    found = fit_classifier(x[:200], y[:200], 4).predict_proba(x[200:])
    assert found.shape == (400, 4) and np.allclose(found.sum(axis=1), 1.0) and found[:, 3].max() == 0.0
    assert (found.argmax(axis=1) == y[200:]).mean() > 0.9
    single = fit_classifier(x[:5], np.ones(5, int), 3).predict_proba(x)
    assert (single == [0.0, 1.0, 0.0]).all()
    with pytest.raises(ValueError):
        fit_classifier(x[:0], y[:0], 3)


def test_many_labels_on_few_rows_give_no_warning(blobs):
    x, _, _ = blobs
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_classifier(x[:30], np.arange(30) % 20, 20)


def test_kappa_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    one = rng.choice(list("abc"), 200)
    other = np.where(rng.random(200) < 0.7, one, rng.choice(list("abc"), 200))
    value, low, high = cohen_kappa(list(zip(one, other, strict=True)))
    assert value == pytest.approx(cohen_kappa_score(one, other)) and low < value < high
    assert (
        cohen_kappa([("a", "a"), ("b", "b")] * 10)[0] == 1.0
        and 0.5 < cohen_kappa([("a", "a"), ("b", "b")] * 10)[1] < 1.0
    )
    assert cohen_kappa([("a", "a")] * 10)[0] == 0.0
    with pytest.raises(ValueError):
        cohen_kappa([])


def test_the_interval_of_kappa_holds_in_simulation():
    """Two people who agree by chance and beyond: the interval holds the true kappa at least 93 times in a hundred."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        one = rng.choice(3, 60, p=[0.5, 0.3, 0.2])
        other = np.where(rng.random(60) < 0.75, one, rng.choice(3, 60, p=[0.5, 0.3, 0.2]))
        _, low, high = cohen_kappa([(str(a), str(b)) for a, b in zip(one, other, strict=True)])
        held += low <= 0.75 <= high
    assert held / 400 >= 0.93


def test_every_two_people_have_a_line():
    said = [{"Ana": "x", "Bo": "x"}, {"Ana": "x", "Bo": "y"}, {"Ana": "y", "Cy": "y"}, {"Bo": "x"}]
    found = pairwise_agreement(Verdict(str(n), "f", n, dict(s)) for n, s in enumerate(said))
    assert [(k.one, k.other, k.rows, k.share) for k in found] == [
        ("Ana", "Bo", 2, 0.5),
        ("Ana", "Cy", 1, 1.0),
    ]


@pytest.mark.parametrize("hits,n", [(0, 10), (3, 50), (20, 2_000), (49, 50), (50, 50)])
def test_the_upper_bound_is_clopper_pearson(hits, n):
    expected = 1.0 if hits == n else beta.ppf(0.95, hits + 1, n - hits)
    assert proportion_upper(hits, n, 0.05) == pytest.approx(expected, abs=1e-6)


def test_the_curve_rises_and_stands_on_random_rows_alone(blobs):
    x, y, _ = blobs
    random = np.zeros(300, bool)
    random[::4] = True
    points = learning_curve(held_out_results(x[:300], y[:300], random, 3))
    assert [p.labels for p in points] == [10, 20, 40, 80, 160, 300]
    assert points[-1].score > points[0].score and points[-1].score > 0.85
    assert points[-1].low < points[-1].score < points[-1].high
    assert learning_curve(held_out_results(x[:300], y[:300], np.zeros(300, bool), 3)) == []


def test_it_is_enough_when_answers_no_longer_change(blobs):
    x, y, _ = blobs
    early = prediction_stability(x[:24], np.random.default_rng(0).integers(0, 3, 24), x[300:], 3, 1)
    late = prediction_stability(np.tile(x[:150], (4, 1)), np.tile(y[:150], 4), np.tile(x[300:], (4, 1)), 3, 1)
    assert early.changed > late.changed and not early.is_sufficient and late.is_sufficient
    assert prediction_stability(x[:10], y[:10], x[300:], 3, 1) is None


def test_the_outlook_holds_what_the_next_labels_bring():
    """Rows right with a chance that grows as the logarithm of the labels: the interval holds the true gain 95 times in
    a hundred, three standard errors allowed for, and a curve that has flattened is called hardly worth going on."""
    rng = np.random.default_rng(0)
    sizes = (10, 20, 40, 80, 160, 200)

    def told(slope, rows):
        easy = rng.random(rows)
        chance = 0.6 + slope * np.log(np.array(sizes) / 10)
        # A row that few labels answer, more labels answer too, but for some that turn back.
        right = easy[None, :] < chance[:, None]
        turned = rng.random(right.shape) < 0.03
        return forecast_gain(HeldOutResults(sizes, np.where(turned, ~right, right)))

    for slope, rows in ((0.05, 40), (0.05, 200), (0.0, 60)):
        found = [told(slope, rows) for _ in range(400)]
        truth = 0.94 * slope * np.log(300 / 200)
        held = sum(one.low <= truth <= one.high for one in found)
        assert held >= 400 * 0.95 - 3 * (400 * 0.05 * 0.95) ** 0.5, (slope, rows, held)
        assert abs(np.mean([one.gain for one in found]) - truth) < 0.005
    flat = sum(told(0.0, 400).is_negligible for _ in range(100))
    steep = sum(told(0.08, 400).is_negligible for _ in range(100))
    assert flat > 60 and steep < 5
    assert forecast_gain(HeldOutResults((), np.zeros((0, 3), bool))) is None
    assert forecast_gain(HeldOutResults((10,), np.ones((1, 12), bool))) is None
    sure = forecast_gain(HeldOutResults((10, 20, 40), np.ones((3, 12), bool)))
    assert sure.gain == pytest.approx(0.0, abs=1e-9) and sure.low < 0.0 < sure.high


def test_no_look_of_a_series_understates_what_changed():
    """True shares of changed answers against the bound of each of ten looks: all hold together 95 times in a hundred."""
    rng = np.random.default_rng(0)
    shares = 0.2 / np.arange(1, 11)
    broken = 0
    for _ in range(300):
        hits = rng.binomial(300, shares)
        bounds = [proportion_upper(int(h), 300, 0.05 / (j * (j + 1))) for j, h in enumerate(hits, 1)]
        broken += any(bound < share for bound, share in zip(bounds, shares, strict=True))
    assert broken / 300 <= 0.05
