"""Looks and their books: what counts, what is published, what survives a crash, a merge and a second process."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from rung.building import certify
from rung.building.certify import Requirement, outcomes
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RunError, RungError
from rung.core.spec.bar import Condition
from rung.core.stats.confidence_bounds import mean_lower, proportion_lower
from rung.core.types import Examples, Field, Prediction, Schema
from rung.tasks.text_classification import TextClassification

SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("no", "yes")),))
TASK = TextClassification()


@pytest.fixture
def lock(tmp_path):
    return CertificateLock(tmp_path / "certificate.lock")


def needs(*bars, **more):
    """Return requirements of (metric, at_least) pairs."""
    found = []
    for name, level in bars:
        side = more.get("side", "at_least")
        found.append(Requirement(Condition(metric=name, **{side: level}), TASK.metric(name, SCHEMA)))
    return found


def rows_of(numbers, labels=None, groups=None):
    numbers = list(numbers)
    units = [f"{(groups or numbers)[i] + 1:016x}" for i in range(len(numbers))]
    texts = [f"text {number}" for number in numbers]
    zeros = [0.0] * len(numbers)
    return Examples(SCHEMA, {"text": texts}, labels or ["yes"] * len(numbers), units, numbers, zeros)


def look(lock, rows, right, bundle="a", bar=(("accuracy", 0.8),), confidence=0.95):
    """Take a look at a bundle that answers the first `right` rows rightly; return the outcome."""
    requirements = needs(*bar)
    taken = certify.begin_look(rows, bundle, requirements, confidence, lock)
    return settle(lock, rows, right, taken, requirements)


def settle(lock, rows, right, taken, requirements):
    other = {"yes": "no", "no": "yes"}
    answers = [Prediction(t if i < right else other[t]) for i, t in enumerate(rows.targets)]
    return certify.certify(taken, requirements, rows, answers, lock)


def book(lock):
    return json.loads(lock.path.read_text())["looks"]


def test_a_failed_look_publishes_nothing_but_that(lock):
    outcome = look(lock, rows_of(range(100)), 80)
    assert not outcome.passed and outcome.published == ()
    (record,) = book(lock)
    assert (record["outcome"], record["published"], record["transcripts"]) == ("failed", None, 1)
    # All else was known before the look, or is the look itself: no number of right answers, no bound.
    assert set(record) == {
        "id", "bundle", "bar", "content", "alpha", "outcome", "published", "units", "transcripts", "seal",
    }  # fmt: skip
    other = CertificateLock(lock.path.with_name("other.lock"))
    look(other, rows_of(range(100)), 3)
    assert book(other) == book(lock)


def test_the_budget_halves_and_a_pass_costs_what_it_could_have_said(lock):
    rows = rows_of(range(200))
    assert look(lock, rows, 100, "a").look.alpha == pytest.approx(0.05 / 2)
    assert look(lock, rows, 100, "b").look.alpha == pytest.approx(0.05 / 4)
    passed = look(lock, rows, 198, "c")
    assert passed.passed and passed.look.alpha == pytest.approx(0.05 / 8)
    # From 0.8 to 1 in half points: 41 numbers.
    assert outcomes(needs(("accuracy", 0.8))[0]) == 41
    after = certify.next_alpha(rows.units, lock, 0.95)
    assert after == pytest.approx(0.05 / 16 / (2 * 41))
    assert look(lock, rows, 198, "d").look.alpha == pytest.approx(after)


def test_the_same_look_again_costs_nothing_and_says_the_same(lock):
    rows = rows_of(range(200))
    asked = (rows, "a", needs(("accuracy", 0.8)), 0.95, lock)
    assert not certify.is_known(*asked)
    first = look(lock, rows, 196)
    assert certify.is_known(*asked)
    look(lock, rows, 100, "another")
    again = look(lock, rows.take(list(range(199, -1, -1))), 0)
    assert first.passed and again == first
    assert len(book(lock)) == 2


@pytest.mark.parametrize("changed", ["bundle", "level", "metric", "confidence", "label", "text", "row"])
def test_whatever_else_changes_is_a_new_look(lock, changed):
    rows = rows_of(range(100))
    look(lock, rows, 70)
    new = {"bundle": "a", "bar": (("accuracy", 0.8),), "confidence": 0.95}
    other = rows
    if changed == "bundle":
        new["bundle"] = "b"
    elif changed == "level":
        new["bar"] = (("accuracy", 0.7),)
    elif changed == "metric":
        new["bar"] = (("macro_f1", 0.8),)
    elif changed == "confidence":
        new["confidence"] = 0.9
    elif changed == "label":
        other = rows_of(range(100), labels=["yes"] * 99 + ["no"])
    elif changed == "text":
        other = replace(rows, inputs={"text": ["another text", *rows.inputs["text"][1:]]})
    else:
        other = rows_of(range(101))
    assert look(lock, other, 70, **new).look.number == 2


def test_a_pending_look_goes_on_with_its_error(lock):
    rows, requirements = rows_of(range(200)), needs(("accuracy", 0.8))
    look(lock, rows, 100, "first")
    before = certify.begin_look(rows, "killed", requirements, 0.95, lock)
    # The build dies here; another one takes a look, and the first one comes back.
    look(lock, rows, 100, "between")
    after = certify.begin_look(rows, "killed", requirements, 0.95, CertificateLock(lock.path))
    assert after == before and before.alpha == pytest.approx(0.05 / 4)
    assert settle(lock, rows, 199, after, requirements).passed
    assert [record["outcome"] for record in book(lock)] == ["failed", "passed", "failed"]


def test_the_first_outcome_stands(lock):
    rows, requirements = rows_of(range(200)), needs(("accuracy", 0.8))
    one = certify.begin_look(rows, "a", requirements, 0.95, lock)
    two = certify.begin_look(rows, "a", requirements, 0.95, lock)
    assert one == two
    first = settle(lock, rows, 190, one, requirements)
    # Another machine rounds otherwise: what was published is published.
    assert settle(lock, rows, 10, two, requirements) == first
    assert book(lock)[0]["outcome"] == "passed"


def test_looks_that_share_a_unit_count_and_others_do_not(lock):
    look(lock, rows_of(range(100)), 50, "a")
    assert certify.next_alpha(rows_of(range(100, 200)).units, lock, 0.95) == pytest.approx(0.05 / 2)
    assert certify.next_alpha(rows_of(range(99, 200)).units, lock, 0.95) == pytest.approx(0.05 / 4)
    assert certify.next_alpha(rows_of([5]).units, lock, 0.95) == pytest.approx(0.05 / 4)
    assert look(lock, rows_of(range(100, 200)), 50, "a").look.number == 1
    assert look(lock, rows_of(range(50, 150)), 50, "a").look.number == 3


def test_the_number_is_at_half_the_error_and_rounded_down(lock):
    outcome = look(lock, rows_of(range(300)), 288)
    exact = proportion_lower(288, 300, 0.05 / 2 / 2)
    assert outcome.published[0] <= exact < outcome.published[0] + 0.005
    assert (outcome.published[0] / 0.005) == pytest.approx(round(outcome.published[0] / 0.005))


def test_the_number_never_falls_below_a_level_that_was_cleared(lock):
    level = proportion_lower(288, 300, 0.05 / 2)
    outcome = look(lock, rows_of(range(300)), 288, bar=(("accuracy", level),))
    assert outcome.passed and outcome.published == (level,)
    assert not look(lock, rows_of(range(300, 600)), 287, bar=(("accuracy", level),)).passed


def test_each_condition_is_decided_at_the_full_error_and_stated_at_its_share(lock):
    labels = ["yes", "no"] * 150
    bar = (("accuracy", 0.9), ("f1:yes", proportion_lower(284, 300, 0.05 / 2) - 0.05))
    outcome = look(lock, rows_of(range(300), labels), 284, bar=bar)
    assert outcome.passed
    assert outcome.published[0] <= max(0.9, proportion_lower(284, 300, 0.05 / 2 / 4))
    assert book(lock)[0]["transcripts"] == 2 * outcomes(needs(bar[0])[0]) * outcomes(needs(bar[1])[0])
    alone = proportion_lower(284, 300, 0.05 / 2)
    both = (("accuracy", alone), ("f1:yes", 0.5))
    assert look(lock, rows_of(range(400, 700), labels), 284, bar=both).passed
    too_much = (("accuracy", 0.5), ("f1:yes", 0.99))
    assert not look(lock, rows_of(range(800, 1100), labels), 284, bar=too_much).passed


def test_grouped_rows_certify_as_groups(lock):
    rows = rows_of(range(300), groups=[i // 3 for i in range(300)])
    outcome = look(lock, rows, 300, bar=(("accuracy", 0.9),))
    assert (outcome.rows, outcome.units, outcome.passed) == (300, 100, True)
    assert outcome.published[0] <= mean_lower(np.ones(100), 0.0, 1.0, 0.05 / 4)
    few = rows_of(range(300, 600), groups=[2000 + i // 60 for i in range(300)])
    assert not look(lock, few, 300, bar=(("accuracy", 0.9),)).passed


@pytest.mark.parametrize(("name", "side"), [("accuracy", "at_most"), ("log_loss", "at_least")])
def test_a_bar_on_the_wrong_side_is_refused(name, side):
    """A lower bound of accuracy always lies below some ceiling: that would certify the worst model."""
    with pytest.raises(RungError) as caught:
        needs((name, 0.3), side=side)
    assert f"`{side}` for {name}" in caught.value.problem and "0.3" in caught.value.fix


def test_a_bar_out_of_reach_never_passes(lock):
    assert not look(lock, rows_of(range(100)), 100, bar=(("accuracy", 1.0),)).passed
    assert not look(lock, rows_of(range(200, 300)), 100, bar=(("accuracy", 90.0),)).passed


def test_after_a_thousand_looks_the_error_is_still_a_number():
    worn = [{"transcripts": 82}] * 1_000
    assert 0.0 < certify._alpha(worn, 0.95) < 1e-300


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda c: "<<<<<<< HEAD\n" + json.dumps(c), "Expecting value"),
        (lambda c: json.dumps(c)[:-40], ""),
        (lambda c: "[]", "list indices"),
        (lambda c: json.dumps({**c, "format": 2}), "format 2 is not known"),
        (lambda c: json.dumps({**c, "looks": c["looks"] * 2}), "the look in place 2 has the number 1"),
        (lambda c: json.dumps({**c, "looks": [{"id": 1}]}), "'outcome' is missing"),
        (lambda c: json.dumps({**c, "looks": [{**c["looks"][0], "units": "AAA="}]}), "cut off"),
        (lambda c: json.dumps({**c, "looks": [{**c["looks"][0], "transcripts": 0}]}), "0 transcripts"),
        (lambda c: json.dumps({**c, "looks": [{**c["looks"][0], "outcome": "open"}]}), "the outcome 'open'"),
    ],
)  # fmt: skip
def test_a_damaged_lock_is_an_error_in_words(lock, damage, why):
    look(lock, rows_of(range(10)), 5)
    lock.path.write_text(damage(json.loads(lock.path.read_text())))
    for use in (lambda: look(lock, rows_of(range(10)), 5), lambda: lock.rule("x"), lambda: lock.earlier([])):
        with pytest.raises(RunError) as caught:
            use()
        assert "cannot be read" in caught.value.problem and why in caught.value.problem
        assert "version control" in caught.value.fix


def test_two_processes_at_once_lose_no_look(lock):
    code = (
        "import sys; from pathlib import Path; from rung.core.certificate_lock import CertificateLock\n"
        "lock = CertificateLock(Path(sys.argv[1]))\n"
        "for turn in range(25):\n"
        "    what = {'bundle': f'{sys.argv[2]}-{turn}', 'bar': [], 'content': ''}\n"
        "    record, earlier = lock.take(['0' * 16], what, lambda earlier: 0.5 / (1 + len(earlier)))\n"
        "    lock.settle(record['id'], 'failed', (), 1)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(lock.path), name]) for name in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    looks = book(lock)
    assert [record["id"] for record in looks] == list(range(1, 51))
    assert len({record["bundle"] for record in looks}) == 50
    assert [record["alpha"] for record in looks] == [0.5 / (1 + n) for n in range(50)]


def test_the_certificate_says_what_it_is(lock):
    rows = rows_of(range(300))
    requirements = needs(("accuracy", 0.9))
    outcome = look(lock, rows, 295, bar=(("accuracy", 0.9),))
    found = certify.certificate(
        outcome, requirements, 0.95, certify.population_of({"by": "time", "cutoff": 0.0}, "row", False)
    )
    assert found["bound"] == outcome.published[0] >= 0.9 and found["exact"] is True
    assert (found["rows"], found["units"], found["looks"]) == (300, 300, 1)
    assert found["alpha"] == pytest.approx(0.05 / 2)
    for words in ("0.95 confidence", "of the period after the cut-off", "certificate.lock is kept"):
        assert words in found["claim"]
