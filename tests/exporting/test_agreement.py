"""Agreement counts, its exact bound, and a simulation of how often the bound is wrong."""

import numpy as np
import pytest

from rung.core.types import Prediction
from rung.exporting.agreement import CONFIDENCE, TargetAnswer, compare, same_value
from rung.exporting.target import identifier


def test_labels_numbers_and_sets_of_labels():
    assert same_value("a", "a") and not same_value("a", "b")
    assert same_value(1_000_000.0, 1_000_000.5) and not same_value(1_000_000.0, 1_000_002.0)
    assert same_value(["x", "y"], ["x", "y"]) and not same_value(["x"], ["x", "y"])
    assert not same_value("1", 1)


def test_a_refusal_counts_as_another_answer():
    found = compare(
        [Prediction("a")] * 3, [TargetAnswer("a"), TargetAnswer("a"), TargetAnswer("a", problem="no")]
    )
    assert (found.equal, found.refused, found.is_enough) == (2, 1, False)
    assert found.differing == [{"row": 2, "expected": "a", "got": "no"}]


def test_a_lost_row_is_no_agreement():
    with pytest.raises(ValueError, match="2 answers to 3 rows"):
        compare([Prediction("a")] * 3, [TargetAnswer("a")] * 2)


def test_the_largest_difference_is_of_probabilities():
    ours = Prediction("a", extra={"probabilities": np.array([0.7, 0.3])})
    assert compare([ours], [TargetAnswer("a", [0.6, 0.4])]).largest_difference == pytest.approx(0.1)


@pytest.mark.parametrize("truth", [0.9, 0.99, 0.995])
def test_the_bound_is_above_the_truth_no_more_often_than_it_says(truth):
    rng = np.random.default_rng(0)
    rows, times = 400, 3_000
    wrong = 0
    bounds = {}
    for equal in rng.binomial(rows, truth, times).tolist():
        if equal not in bounds:
            answers = [TargetAnswer("a")] * equal + [TargetAnswer("b")] * (rows - equal)
            bounds[equal] = compare([Prediction("a")] * rows, answers).lower
        wrong += bounds[equal] > truth
    # Three standard errors above the stated share.
    limit = (1 - CONFIDENCE) + 3 * np.sqrt((1 - CONFIDENCE) * CONFIDENCE / times)
    assert wrong / times <= limit


@pytest.mark.parametrize(
    "name,found",
    [
        ("news", "news"),
        ("my-shop.v2", "my_shop_v2"),
        ("json", "product_json"),
        ("新闻", "product"),
        ("class", "product_class"),
    ],
)
def test_names_of_modules(name, found):
    assert identifier(name) == found


def test_what_a_thousand_answers_take_is_said_with_its_assumptions():
    from rung.core.prices import load_prices
    from rung.exporting.report import per_1k

    prices = load_prices()
    found = per_1k(3.6)
    assert found["cpu_seconds"] == 3.6 and found["watts_per_core"] == prices.watts_per_core
    assert found["wh"] == pytest.approx(prices.watts_per_core / 1000, rel=0.01)
    assert found["g_co2"] == pytest.approx(prices.g_co2(3.6), rel=0.01)
    assert per_1k(0.0) is None
