"""Which of some measured candidates is chosen, and why the others are not."""

import numpy as np
import pytest

from rung.building import compression
from rung.building.compression import Wanted
from rung.core.metrics.scored import ScoredRows
from rung.core.spec.bar import Condition
from rung.core.types import Field, Prediction, Schema
from rung.tasks.tabular_regression import TabularRegression
from rung.tasks.text_classification import TextClassification

BAR = (Condition(metric="accuracy", at_least=0.9),)
SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("no", "yes")),))


def trial(name="c", size=1.0, seconds=1.0, lost=0.0, score=0.95, expected=True, **more):
    found = {
        "name": name, "status": "measured", "lost": lost, "size_mb": size, "problems": [], "over_limits": [], "differing": 0,
        "measured": {"cpu_seconds_per_1k": seconds}, "scores": {"accuracy": score}, "expected": expected,
        "usd_per_1k": seconds,
    }  # fmt: skip
    return found | more


WINNER = trial("winner", 10.0, 2.0, certified=True)


@pytest.mark.parametrize(
    ("candidate", "wanted", "why"),
    [
        (trial(), Wanted(), []),
        (trial(lost=0.006), Wanted(), ["lost"]),
        (trial(size=6.0), Wanted(size_mb=5.0), ["too_large"]),
        (trial(size=11.0), Wanted(), ["not_smaller"]),
        (trial(seconds=2.6), Wanted(), ["slower"]),
        # The machine has become slower: so would the winner be now.
        (trial(seconds=2.6, winner_cpu_seconds_per_1k=2.5), Wanted(), []),
        (trial(seconds=2.6, winner_cpu_seconds_per_1k=3.0), Wanted(prefer="speed"), []),
        (trial(seconds=1.99), Wanted(prefer="speed"), ["not_faster"]),
        (trial(size=13.0, seconds=1.0), Wanted(prefer="speed"), ["larger"]),
        (trial(differing=3), Wanted(), ["broken"]),
        (trial(over_limits=["size_mb 10 > 1"]), Wanted(), ["over_limits"]),
        (trial(score=0.89, expected=False), Wanted(), ["below_bar"]),
        (trial(score=0.91, expected=False), Wanted(), ["not_expected"]),
        (trial(status="failed"), Wanted(), ["failed"]),
    ],
)
def test_a_candidate_is_refused_for_what_it_breaks(candidate, wanted, why):
    assert compression.problems(candidate, WINNER, wanted, BAR) == why


def test_a_winner_without_a_certificate_asks_for_no_bar():
    plain = {**WINNER, "certified": False}
    assert compression.problems(trial(score=0.5, expected=False), plain, Wanted(), BAR) == []


def test_the_smallest_is_chosen_and_of_equals_the_better():
    trials = [
        trial("a", 3.0),
        trial("b", 2.0, lost=0.003),
        trial("c", 2.0, lost=0.001),
        trial("d", 1.0, problems=["lost"]),
    ]
    assert compression.choose(trials, Wanted())["name"] == "c"
    fast = [trial("a", 3.0, seconds=0.5), trial("b", 2.0, seconds=0.7)]
    assert compression.choose(fast, Wanted(prefer="speed"))["name"] == "a"
    assert compression.choose([trial(problems=["lost"])], Wanted()) is None


def test_an_impossible_size_is_told_the_smallest_that_was_reached():
    trials = [trial("a", 3.0, problems=["too_large"]), trial("b", 2.0, problems=["too_large", "lost"])]
    assert compression.smallest(trials)["name"] == "a"


def test_the_front_holds_what_no_other_beats_in_both():
    trials = [
        trial("a", 3.0, lost=0.0),
        trial("b", 2.0, lost=0.01),
        trial("c", 2.5, lost=0.02),
        trial("d", 1.0, lost=0.03),
    ]
    assert compression.front(trials, "size_mb") == ["d", "b", "a"]


def test_a_loss_is_paired_and_in_points():
    truths = ["yes"] * 100
    before = ScoredRows(truths, [Prediction("yes")] * 100, SCHEMA, [str(i) for i in range(100)], {})
    after = ScoredRows(truths, [Prediction("no")] * 5 + [Prediction("yes")] * 95, SCHEMA, before.units, {})
    found = compression.loss_of(TextClassification().metric("accuracy", SCHEMA), before, after)
    assert found["lost"] == pytest.approx(0.05)
    assert found["interval"][0] < 0.05 < found["interval"][1]


def test_a_loss_of_an_unbounded_metric_is_a_share_of_it():
    task = TabularRegression()
    schema = Schema((Field("x", "number", "input"),), (Field("y", "number", "output"),))
    truths = [0.0] * 50
    errors = np.linspace(1.0, 2.0, 50)
    units = [str(i) for i in range(50)]
    before = ScoredRows(truths, [Prediction(e) for e in errors], schema, units, {})
    after = ScoredRows(truths, [Prediction(1.1 * e) for e in errors], schema, units, {})
    assert compression.loss_of(task.metric("rmse", schema), before, after)["lost"] == pytest.approx(
        0.1, abs=1e-6
    )
