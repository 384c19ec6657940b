"""Sensitivity and specificity of one label: values, exact bounds that hold, and the curve's point at a specificity."""

import numpy as np
import pytest

from rung.core.errors import RungError
from rung.core.metrics.classification import ClassShare
from rung.core.registry import task
from rung.core.types import Prediction, Schema

TASK = task("image_classification")
SCHEMA = TASK.schema(["image"], ["ill", "well"])


def answers(values, chances):
    return [Prediction(v, extra={"probabilities": [c, 1 - c]}) for v, c in zip(values, chances, strict=True)]


def test_values():
    truths = ["ill"] * 4 + ["well"] * 4
    said = answers(
        ["ill", "ill", "ill", "well", "well", "well", "ill", "well"],
        [0.9, 0.8, 0.7, 0.2, 0.3, 0.1, 0.75, 0.1],
    )
    found = {
        name: TASK.metric(name, SCHEMA).score(truths, said, SCHEMA)
        for name in (
            "sensitivity:ill",
            "specificity:ill",
            "sensitivity_at_specificity:ill:0.99",
            "sensitivity_at_specificity:ill:0.75",
        )
    }
    assert list(found.values()) == [0.75, 0.75, 0.5, 0.75]


@pytest.mark.parametrize(
    "name", ["sensitivity:sick", "sensitivity_at_specificity:ill", "sensitivity_at_specificity:ill:2"]
)
def test_what_names_no_label_or_share(name):
    with pytest.raises(RungError) as caught:
        TASK.metric(name, SCHEMA)
    assert caught.value.fix


def test_bounds_are_exact_for_single_rows_only_and_hold():
    metric = ClassShare("sensitivity:ill", "ill", of_others=False)
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        truths = ["ill" if ill else "well" for ill in rng.random(80) < 0.4]
        said = answers(
            ["ill" if rng.random() < (0.8 if t == "ill" else 0.1) else "well" for t in truths], [0.5] * 80
        )
        units = [f"{i:012x}" for i in range(80)]
        bound = metric.bound(truths, said, Schema((), ()), units, 0.1)
        assert bound.exact
        wrong += bound.value > 0.8
    assert wrong <= 0.1 * 400 + 3 * np.sqrt(400 * 0.1 * 0.9)
    grouped = metric.bound(truths, said, Schema((), ()), [f"{i // 2:012x}" for i in range(80)], 0.1)
    assert not grouped.exact
    assert metric.bound(["well"], answers(["well"], [0.1]), Schema((), ()), ["0" * 12], 0.1).value == 0.0
