"""Climbing the ladder: equally priced rungs, looks on request, and what a refusal advises."""

import random

import numpy as np
import pytest

import rung
from rung.building import evaluate
from rung.building.advice import advice_items
from rung.building.climb_findings import Findings
from rung.building.evaluate import Expectation
from rung.core.certificate_lock import CertificateLock
from rung.core.messages import say
from rung.core.metrics.base import MeanMetric
from rung.core.spec.product import Product
from rung.core.stats.confidence_bounds import proportion_lower
from rung.core.types import Examples, Field, Prediction, Schema
from support import write_csv

WORDS = {"ham": ["meeting", "report", "budget", "team"], "spam": ["winner", "prize", "cash", "click"]}


def product(folder, noise, at_least, rows=400, **more):
    """A product of short texts; noise: share of rows whose words are those of the other label."""
    rng = random.Random(5)
    written = []
    for i in range(rows):
        label = ("ham", "spam")[i % 2]
        words = WORDS[("ham", "spam")[(i + (rng.random() < noise)) % 2]]
        written.append((" ".join([*rng.sample(words, 2), f"n{i}", f"m{rng.randrange(50)}"]), label))
    write_csv(folder / "rows.csv", ["text", "label"], written)
    text = (
        "name: letters\ntask: text_classification\ndata: {path: rows.csv}\n"
        f"bar: {{metric: accuracy, at_least: {at_least}}}\n"
    )
    spec = {"budget": "{effort: 0, threads: 1}", "ladder": "[majority, tfidf_linear]", **more}
    (folder / "product.yaml").write_text(text + "".join(f"{key}: {value}\n" for key, value in spec.items()))
    return folder / "product.yaml"


def test_among_equal_prices_the_better_rung_ships(tmp_path):
    two = "[majority, {name: small, model: tfidf_linear, params: {most_features: 200, chars: [2, 2]}}, {name: large, model: tfidf_linear}]"
    ladder = {"ladder": two}
    cheap = rung.build(
        product(tmp_path, 0.02, 0.6, budget="{effort: 0, threads: 1, indifference_usd_per_1m: 0}", **ladder)
    )
    # The first that clears ends the climb, whatever the next would score.
    assert [t["status"] for t in cheap.report["trials"]] == ["below bar", "cleared"]
    equal = rung.build(
        product(tmp_path, 0.02, 0.6, budget="{effort: 0, threads: 1, indifference_usd_per_1m: 5}", **ladder)
    )
    scores = {t["rung"]: t["scores"]["accuracy"] for t in equal.report["trials"]}
    best = max(("small", "large"), key=scores.__getitem__)
    assert equal.report["winner"] == best and scores["small"] != scores["large"]
    assert {t["rung"]: t["status"] for t in equal.report["trials"]} == {
        "majority": "below bar", best: "cleared", ({"small", "large"} - {best}).pop(): "outscored",
    }  # fmt: skip
    # One look a build: the rung that lost was not looked at, and the same look twice is one.
    assert equal.report["certificate"]["looks"] <= 2


def test_a_look_that_is_not_likely_is_taken_on_request(tmp_path):
    spec = product(tmp_path, 0.1, 0.87, rows=600)
    refused = rung.build(spec)
    (trial,) = (t for t in refused.report["trials"] if t["rung"] == "tfidf_linear")
    assert trial["status"] == "not certified" and 0 < trial["chance"] < 0.5
    items = {item["key"]: item["values"] for item in refused.report["advice_items"]}
    assert items["look_anyway"]["chance"] == f"{trial['chance']:.0%}"
    # What is said to be certifiable today lies below the bar that was refused.
    assert float(items["helps_lower"]["near"]) == trial["certifiable"] < 0.87
    assert CertificateLock(tmp_path / "certificate.lock").earlier([]) == []
    again = rung.build(product(tmp_path, 0.1, 0.87, rows=600, certify="{look: always}"))
    (trial,) = (t for t in again.report["trials"] if t["rung"] == "tfidf_linear")
    assert trial["status"] in {"cleared", "failed certification"}
    assert "look_anyway" not in {item["key"] for item in again.report["advice_items"]}


def test_what_could_be_certified_today_is_certified_four_times_of_five():
    """Drawn anew 600 times: scores on 300 training rows, then 150 certification rows of the same quality."""
    rng = np.random.default_rng(1)
    metric = MeanMetric("right", lambda truth, answer: float(truth == answer.value), binary=True)
    schema = Schema((Field("text", "text", "input"),), (Field("n", "number", "output"),))
    units = [f"{i:016x}" for i in range(300)]
    rows = Examples(schema, {"text": [""] * 300}, [1] * 300, units, range(300), [0.0] * 300)
    passed, promised = [], []
    for _ in range(600):
        right = rng.random(300) < 0.88
        held = evaluate.Evaluation(
            tuple(range(300)), (1,) * 300, tuple(units), tuple(Prediction(int(r)) for r in right),
            {"how": "part", "folds": 1}, frozenset(range(300)),
        )  # fmt: skip
        found = evaluate.predicted_bound(held, metric, rows, 150, 0.025)
        bound = proportion_lower(int(rng.binomial(150, 0.88)), 150, 0.025)
        passed.append(bound >= found.level_at(0.8))
        promised.append((found.chance(0.82), bound >= 0.82))
    assert 0.74 < np.mean(passed) < 0.9
    chances, outcomes = np.array(promised).T
    assert np.mean(chances) == pytest.approx(np.mean(outcomes), abs=0.08)


def test_rungs_left_out_are_advised_first(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "empty"))
    folder = tmp_path / "news"
    folder.mkdir()
    rows = [(f"The {random.Random(i).choice(['team', 'club', 'bank', 'market'])} said it would wait until number {i} is known",
             ("sport", "business")[i % 2]) for i in range(300)]  # fmt: skip
    write_csv(folder / "rows.csv", ["text", "label"], rows)
    (folder / "product.yaml").write_text(
        "name: letters\ntask: text_classification\ndata: {path: rows.csv}\nbudget: {effort: 0, threads: 1}\n"
        "bar: {metric: accuracy, at_least: 0.95}\n"
    )
    items = rung.build(folder / "product.yaml").report["advice_items"]
    assert [item["key"] for item in items][:2] == ["refused", "untried"]
    assert (
        "static_embedding" in items[1]["values"]["named"]["en"]
        and "Run `rung weights fetch" in items[1]["values"]["fix"]["en"]
        and "下载" in items[1]["values"]["fix"]["zh"]
        and "lookup" not in items[1]["values"]["named"]["zh"]
        and "（预计 " in items[1]["values"]["named"]["zh"]
    )


def test_what_more_quality_would_cost_is_said():
    """A dearer rung that was measured clearly better; else those whose expected range lies above; never one a hair better."""
    bar = {"metric": "accuracy", "at_least": 0.7}
    spec = Product.model_validate({"task": "text_classification", "data": {"path": "d.csv"}, "bar": bar})
    data = {"certification": 226, "rows": 800, "quarantined": {}, "labels": {"a": 300, "b": 300}}

    def trial(rung, score, status, usd):
        return {
            "rung": rung,
            "status": status,
            "scores": {"accuracy": score},
            "usd_per_1k": usd,
            "is_floor": False,
        }

    def said(others, above=()):
        trials = [trial("tfidf_linear", 0.78, "cleared", 0.000004), *others]
        return advice_items(spec, data, Findings(trials, "tfidf_linear", {}, True, unneeded=above))

    (item,) = said([trial("blend", 0.85, "not needed", 0.0002)])
    assert item["key"] == "better_measured" and item["values"]["price"] == {"en": "$0.20", "zh": "0.20 美元"}
    assert "blend" in say("advice.better_measured", "zh", **item["values"])
    assert said([trial("blend", 0.785, "not needed", 0.0002)]) == []
    above = [{"rung": "blend", "metric": "accuracy", "expected": (0.8, 0.98), "usd_per_1k": 0.0002}]
    (item,) = said([], above)
    assert item["key"] == "better_planned"
    text = say("advice.better_planned", "en", **item["values"])
    assert "blend (0.8 to 0.98 expected, $0.20 per million predictions)" in text
    assert said([], [above[0] | {"expected": (0.7, 0.98)}]) == []


@pytest.mark.parametrize("score,key", [(0.86, "failed_look_rows"), (0.8, "failed_look")])
def test_a_look_that_failed_is_explained_with_numbers_of_training_rows(score, key):
    trial = {"rung": "tfidf_linear", "status": "failed certification", "scores": {"accuracy": score}, "over_limits": [],
             "is_floor": False, "certifiable": None, "predicted_bounds": [0.81]}  # fmt: skip
    data = {
        "certification": 226,
        "rows": 800,
        "quarantined": {},
        "labels": {"a": 300, "b": 300},
        "split": {"by": "hash"},
    }
    product = Product.model_validate(
        {
            "task": "text_classification",
            "data": {"path": "d.csv"},
            "bar": {"metric": "accuracy", "at_least": 0.8},
        }
    )
    items = advice_items(product, data, Findings([trial], None, None, False))
    assert [item["key"] for item in items][:2] == ["refused", key]
    values = items[1]["values"]
    assert values["here"] == 226 and values.get("needed", 226) >= 226
    for lang in ("en", "zh"):
        assert values["score"] in say(f"advice.{key}", lang, **values)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_chances_are_those_of_a_normal_distribution(sign):
    found = Expectation(0.8, True, 0.02, sign)
    rng = np.random.default_rng(0)
    drawn = 0.8 + 0.02 * rng.standard_normal(100_000)
    for level in (0.77, 0.8, 0.84):
        assert found.chance(level) == pytest.approx(float(np.mean(sign * (drawn - level) >= 0)), abs=0.005)
    # Rounded to half points towards the side that is easier to certify.
    assert found.level_at(0.8) == pytest.approx(0.78 if sign > 0 else 0.82)
    assert Expectation(0.8, True, 0.0, sign).chance(0.8) == 1.0
