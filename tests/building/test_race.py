"""Races: a rung without a chance is left out after a part of the rows, one with a chance is not, and both are said."""

import json
import random
from dataclasses import fields
from statistics import NormalDist

import numpy as np
import pytest

import rung
from rung.building import race
from rung.core.metrics.base import MeanMetric
from rung.core.metrics.scored import ScoredRows
from rung.core.stats.confidence_bounds import proportion_lower
from rung.core.types import Examples, Field, Prediction, Schema
from rung.pages.races import race_lines
from rung.workflows import races
from support import run_cli, write_csv

ACCURACY = MeanMetric("accuracy", lambda truth, answer: float(truth == answer.value), binary=True)
SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("a", "b")),))


def answered(wrong, rows=400):
    """Rows of which the given ones are answered wrongly."""
    answers = [Prediction("b" if row in wrong else "a", 0.9) for row in range(rows)]
    return ScoredRows(["a"] * rows, answers, SCHEMA, [f"{row:04d}" for row in range(rows)], {})


def judged(ours, theirs, goal, **more):
    return race.judge(ACCURACY, ("ours", "theirs"), (answered(ours), answered(theirs)), goal, **more)


def test_a_rung_that_is_clearly_behind_has_no_chance_and_one_that_keeps_up_has_one():
    goal = race.Goal(best=0.1, to_clear=0.05, fastest=0.1)
    behind = judged(set(range(120)), set(range(40)), goal)
    assert behind.is_lost and behind.score == 0.7 and behind.rival_score == 0.9
    # The standard error of a proportion.
    assert behind.error == pytest.approx((0.7 * 0.3 / 400) ** 0.5, rel=0.15)
    assert not judged(set(range(36)), set(range(40)), goal).is_lost
    assert not judged(set(range(20)), set(range(40)), goal).is_lost


def test_chances_are_those_of_the_normal_belief():
    goal = race.Goal(best=0.2, to_clear=0.1, fastest=0.2)
    ours, theirs = set(range(10, 90)), set(range(80))
    found = judged(ours, theirs, goal)
    # As many errors on both sides, ten each on rows the other answers right: the ratio is 1, its error that of 20 rows in 80.
    ratio, error, _ = race.log_ratio(ACCURACY, (answered(ours), answered(theirs)))
    assert ratio == pytest.approx(0.0, abs=1e-9) and error == pytest.approx(20**0.5 / 80, rel=0.15)
    weight, prior = 1 / (error**2 + 0.1**2), 1 / 0.35**2
    belief = NormalDist(prior * -0.15 / (weight + prior), (weight + prior) ** -0.5)
    assert found.clear == pytest.approx(belief.cdf(np.log(0.5)), abs=1e-4)
    assert found.lead == pytest.approx(belief.cdf(np.log(0.95)), abs=1e-4)


def test_few_rungs_that_would_have_led_by_a_point_are_lost():
    rng = np.random.default_rng(1)
    lost, leading = [], []
    for _ in range(300):
        ratio = float(np.exp(rng.normal(-0.15, 0.35)))
        base = 0.15
        shared = rng.random(400)
        theirs = set(np.flatnonzero(shared < base).tolist())
        ours = set(np.flatnonzero(shared < base * ratio).tolist())
        found = judged(ours, theirs, race.Goal(base, 1e-9, base))
        lost.append(found.is_lost)
        leading.append(base - base * ratio > race.MARGIN)
    missed = np.mean(np.array(lost)[np.array(leading)])
    assert missed <= race.LEAST_CHANCE
    # And those that were behind are mostly spared.
    assert np.mean(np.array(lost)[~np.array(leading)]) > 0.5


@pytest.mark.parametrize("score,level,rows", [(0.95, 0.93, 400), (0.97, 0.95, 1_000), (0.8, 0.8, 300)])
def test_the_score_that_would_be_certified_is_that_of_the_exact_bound(score, level, rows):
    bound = proportion_lower(round(score * rows), rows, 0.025)
    needed = 1.0 - race.distance_to_clear(ACCURACY, level, score, bound)
    exact = next(k for k in range(rows + 1) if proportion_lower(k, rows, 0.025) >= level) / rows
    assert needed == pytest.approx(exact, abs=0.006)
    assert race.distance_to_clear(ACCURACY, level, score, None) == pytest.approx(1.0 - level)


def test_only_a_rung_that_catches_up_beyond_noise_is_expected_to_go_on():
    assert race.carried_over(0.2, 0.6, 0.1, 3.0) == pytest.approx(-1.2)
    assert race.carried_over(0.55, 0.6, 0.1, 3.0) == 0.0
    assert race.carried_over(0.6, 0.2, 0.1, 3.0) == 0.0
    goal = race.Goal(best=0.1, to_clear=0.05, fastest=0.1)
    assert not judged(set(range(60)), set(range(40)), goal, growth=-1.2).is_lost


def examples(rows, units=None):
    labels = ["ab"[row % 4 == 0] for row in range(rows)]
    units = units or [f"{row:05d}" for row in range(rows)]
    return Examples(SCHEMA, {"text": labels}, labels, units, list(range(rows)), [0.0] * rows)


def test_the_part_is_a_fifth_with_whole_units_and_every_label_and_none_of_few_rows():
    assert race.part_of(examples(899)) == []
    part = race.part_of(examples(2_000))
    assert len(part) == 400 and sum(row % 4 == 0 for row in part) == 100
    assert len(race.part_of(examples(50_000))) == pytest.approx(2_000, rel=0.05)
    units = [f"{row // 3:05d}" for row in range(3_000)]
    grouped = race.part_of(examples(3_000, units))
    assert {units[row] for row in grouped}.isdisjoint(
        units[row] for row in sorted(set(range(3_000)) - set(grouped))
    )


WORDS = {"ham": ["meeting", "report", "budget", "team"], "spam": ["winner", "prize", "cash", "click"]}
# Every row has the commonest letter: it tells nothing.
LADDER = (
    "[majority, {name: a_words, model: tfidf_linear}, "
    "{name: b_letters, model: tfidf_linear, params: {words: 0, chars: [1, 1], most_features: 1}}]"
)


@pytest.fixture
def product(tmp_path, monkeypatch):
    """A product with a rung that cannot win; every rung is worth a race."""
    monkeypatch.setattr(races, "_WORTH_SECONDS", 0.0)
    rng = random.Random(5)
    rows = []
    for i in range(1_600):
        label = ("ham", "spam")[i % 2]
        words = WORDS[("ham", "spam")[(i + (rng.random() < 0.1)) % 2]]
        rows.append((" ".join([*rng.sample(words, 2), f"n{i}", f"m{rng.randrange(50)}"]), label))
    write_csv(tmp_path / "rows.csv", ["text", "label"], rows)

    def written(budget=""):
        (tmp_path / "product.yaml").write_text(
            "name: letters\ntask: text_classification\ndata: {path: rows.csv}\n"
            f"bar: {{metric: accuracy, at_least: 0.97}}\nladder: {LADDER}\n"
            f"budget: {{effort: 0, threads: 1, indifference_usd_per_1m: 0{budget}}}\n"
        )
        return tmp_path / "product.yaml"

    return written


def test_a_rung_that_cannot_win_is_raced_out_and_the_report_says_why(product, tmp_path):
    events = []
    done = rung.build(
        product(), run=tmp_path / "run", on_event=lambda kind, facts: events.append((kind, facts))
    )
    (lost,) = done.report["raced_out"]
    assert lost["rung"] == "b_letters" and lost["rival"] == "a_words" and lost["rows"] < 400
    assert set(lost) == {field.name for field in fields(race.Race)} | {"model"}
    assert lost["score"] < lost["rival_score"] and max(lost["clear"], lost["lead"]) < race.LEAST_CHANCE
    assert [trial["rung"] for trial in done.report["trials"]] == ["majority", "a_words"]
    assert done.report["winner"] == "a_words"
    skipped = [facts for kind, facts in events if kind == "skipped"]
    assert skipped[0]["why"].startswith(f"raced out: accuracy {lost['score']:.3f} ± {lost['error']:.3f} on ")
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    for lang, words in (("en", "raced out: accuracy"), ("zh", "预赛出局")):
        (line,) = race_lines(done.report, lang)
        assert words in line and "a_words" in line
    assert "raced out" in page or "预赛出局" in page
    # The run folder has the race, so that a resumed build need not repeat it.
    kept = json.loads((tmp_path / "run" / "races" / "b_letters" / "done.json").read_text())
    assert kept["lost"] is True and kept["rung"] == "b_letters"


@pytest.mark.parametrize("how", ["the spec", "all_rungs"])
def test_races_can_be_turned_off(product, tmp_path, how):
    spec = product(", race: false" if how == "the spec" else "")
    done = rung.build(spec, run=tmp_path / "run", all_rungs=how == "all_rungs")
    assert done.report["raced_out"] == []
    assert [trial["rung"] for trial in done.report["trials"]] == ["majority", "a_words", "b_letters"]


def test_a_rung_is_measured_after_all_when_its_rival_has_no_trial(product, tmp_path, monkeypatch):
    def lost(self, one, before):
        figures = {
            "metric": "accuracy",
            "rows": 9,
            "score": 0.5,
            "error": 0.1,
            "rival_score": 0.9,
            "clear": 0,
            "lead": 0,
        }
        return {"rung": one.name, "rival": "failed", **figures} if one.name == "a_words" else None

    monkeypatch.setattr(races.Races, "lost", lost)
    report = rung.build(product(), run=tmp_path / "run").report
    assert report["raced_out"] == [] and report["winner"] == "a_words"
    assert [trial["rung"] for trial in report["trials"]] == ["majority", "a_words", "b_letters"]


def test_the_terminal_says_who_was_raced_out(product, tmp_path):
    done = rung.build(product(), run=tmp_path / "run")
    shown = run_cli("show", str(done.folder), "--lang", "en")
    assert "b_letters raced out: accuracy" in " ".join((shown.stdout + shown.stderr).split())
