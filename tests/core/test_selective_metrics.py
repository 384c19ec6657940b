"""Coverage and selective accuracy of answers some of which are left to a person; the bound holds."""

import numpy as np

from rung.core.metrics.selective import SelectiveAccuracy, coverage
from rung.core.types import Field, Prediction, Schema

SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("a", "b")),))


def answers(values, abstained):
    return [Prediction(value, 0.5, is_left) for value, is_left in zip(values, abstained, strict=True)]


def test_scores_are_of_the_rows_that_are_answered():
    truths, said = ["a", "a", "b", "b"], answers(["a", "b", "b", "a"], [False, False, False, True])
    assert SelectiveAccuracy().score(truths, said, SCHEMA) == 2 / 3
    assert coverage().score(truths, said, SCHEMA) == 0.75
    none = answers(["a"] * 4, [True] * 4)
    assert SelectiveAccuracy().score(truths, none, SCHEMA) == 0.0
    assert SelectiveAccuracy().bound(truths, none, SCHEMA, list("wxyz"), 0.05).value == 0.0


def test_the_bound_is_wrong_no_more_often_than_it_says():
    rng, wrong, metric = np.random.default_rng(0), 0, SelectiveAccuracy()
    for _ in range(1000):
        left = rng.random(80) < 0.3
        right = rng.random(80) < 0.85
        said = answers(["a" if ok else "b" for ok in right], left)
        bound = metric.bound(["a"] * 80, said, SCHEMA, [str(i) for i in range(80)], 0.05)
        wrong += bound.value > 0.85
    assert bound.exact and wrong <= 65


def test_rows_of_one_unit_are_bootstrapped():
    said = answers(["a"] * 40, [False] * 40)
    assert (
        not SelectiveAccuracy()
        .bound(["a"] * 40, said, SCHEMA, [f"{i % 16:016x}" for i in range(40)], 0.05)
        .exact
    )
