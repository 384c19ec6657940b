"""Metrics of ranked lists agree with values by hand and with trec_eval's, and their bounds over users hold."""

import importlib.util
import math

import numpy as np
import pytest

from rung.core.errors import RungError
from rung.core.metrics.scored import ScoredRows, bound, mean_over_units
from rung.core.types import Prediction
from rung.modalities.recommendation.list_metrics import OF_LIST, ndcg
from rung.tasks.recommendation import Recommendation

TASK = Recommendation()
SCHEMA = TASK.schema(TASK.default_inputs(()), [])
ITEMS = [f"i{n}" for n in range(40)]


def answer(items, popular=(), events=5):
    extra = {"popular": list(popular), "novelty": 3.0, "variety": 0.5, "catalogue": 40, "events": events}
    return Prediction(list(items), extra=extra)


def test_values_by_hand():
    relevant, items = frozenset("adx"), list("abcd")
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    expected = {
        "ndcg": (1 + 1 / math.log2(5)) / best,
        "recall": 2 / 3,
        "hit_rate": 1.0,
        "mrr": 1.0,
        "map": (1 + 2 / 4) / 3,
    }
    for name, value in expected.items():
        assert OF_LIST[name](relevant, items, 10) == pytest.approx(value), name
    assert all(of(frozenset("z"), items, 10) == 0.0 for of in OF_LIST.values())
    assert all(of(frozenset("a"), [], 10) == 0.0 for of in OF_LIST.values())
    assert ndcg(frozenset(items), items, 2) == pytest.approx(1.0)  # cut at 2, the best list has two


@pytest.mark.skipif(importlib.util.find_spec("pytrec_eval") is None, reason="pytrec_eval is not installed")
def test_values_are_those_of_trec_eval():
    import pytrec_eval

    rng = np.random.default_rng(0)
    names = {"ndcg": "ndcg_cut_10", "recall": "recall_10", "map": "map_cut_10", "mrr": "recip_rank"}
    for _ in range(50):
        relevant = frozenset(rng.choice(ITEMS, int(rng.integers(1, 20)), replace=False).tolist())
        items = rng.choice(ITEMS, 10, replace=False).tolist()
        run = {"q": {item: float(10 - rank) for rank, item in enumerate(items)}}
        judge = pytrec_eval.RelevanceEvaluator({"q": dict.fromkeys(relevant, 1)}, set(names.values()))
        found = judge.evaluate(run)["q"]
        for name, theirs in names.items():
            assert OF_LIST[name](relevant, items, 10) == pytest.approx(found[theirs]), name


@pytest.mark.skipif(importlib.util.find_spec("ir_measures") is None, reason="ir_measures is not installed")
def test_values_are_those_of_ir_measures():
    """All five, the share of lists with a hit among them, for queries at once: means over users, as `ir-measures` aggregates."""
    import ir_measures
    from ir_measures import AP, RR, R, Success, nDCG

    names = {"ndcg": nDCG @ 10, "recall": R @ 10, "map": AP @ 10, "mrr": RR @ 10, "hit_rate": Success @ 10}
    rng = np.random.default_rng(1)
    truths = [
        frozenset(rng.choice(ITEMS, int(rng.integers(1, 15)), replace=False).tolist()) for _ in range(60)
    ]
    lists = [rng.choice(ITEMS, 10, replace=False).tolist() for _ in truths]
    judged = {f"q{n}": dict.fromkeys(relevant, 1) for n, relevant in enumerate(truths)}
    run = {
        f"q{n}": {item: float(10 - rank) for rank, item in enumerate(items)} for n, items in enumerate(lists)
    }
    found = ir_measures.calc_aggregate(names.values(), judged, run)
    for name, theirs in names.items():
        ours = np.mean(
            [OF_LIST[name](relevant, items, 10) for relevant, items in zip(truths, lists, strict=True)]
        )
        assert ours == pytest.approx(found[theirs]), name


def users(n, seed, same=False):
    """Users whose rows depend on each other: an easy user is easy at every length, and some have more rows."""
    rng = np.random.default_rng(seed)
    truths, answers, units = [], [], []
    for user in range(n):
        taste = rng.random() ** 2
        for row in range(int(rng.integers(1, 6))):
            later = rng.choice(ITEMS, 8, replace=False).tolist()
            hits = int(rng.binomial(5, taste))
            ours = [*later[:hits], *[i for i in ITEMS if i not in later][: 10 - hits]]
            fewer = hits if same else int(rng.binomial(hits, 0.8))
            popular = [*later[:fewer], *[i for i in ITEMS if i not in later][: 10 - fewer]]
            truths.append(later)
            answers.append(answer(ours, popular, row + 1))
            units.append(f"{(user * 2654435761 + seed) % 2**40:016x}")
    return ScoredRows(truths, answers, SCHEMA, units, {})


@pytest.mark.parametrize("name", ["ndcg@10", "lift@10", "hit_rate@10", "map@5", "ndcg@10:after=1"])
def test_bounds_over_users_hold_as_often_as_they_say(name):
    """At error 0.1 a bound lies above the truth in at most a tenth of 200 draws; five standard errors are allowed."""
    metric = TASK.metric(name, SCHEMA)
    truth = mean_over_units(metric, users(4_000, 12_345))
    wrong = 0
    for seed in range(200):
        found = bound(metric, users(60, seed), 0.1)
        assert found.exact
        wrong += found.value > truth
    assert wrong <= 20 + 5 * (200 * 0.1 * 0.9) ** 0.5


def test_a_model_that_is_what_is_popular_has_no_lift_to_certify():
    metric = TASK.metric("lift@10", SCHEMA)
    rows = users(300, 1, same=True)
    assert mean_over_units(metric, rows) == 0.0 and bound(metric, rows, 0.05).value <= 0.0
    better = users(300, 1)
    assert 0.0 < bound(metric, better, 0.05).value < mean_over_units(metric, better)


def test_spread_over_the_catalogue():
    all_alike = [answer(ITEMS[:10]) for _ in range(8)]
    spread = [answer(ITEMS[10 * n : 10 * n + 10]) for n in range(4)]
    coverage, gini = (TASK.metric(name, SCHEMA) for name in ("catalogue_coverage", "exposure_gini"))
    assert (
        coverage.score([[]] * 8, all_alike, SCHEMA) == 0.25
        and coverage.score([[]] * 4, spread, SCHEMA) == 1.0
    )
    assert gini.score([[]] * 8, all_alike, SCHEMA) == pytest.approx(0.75)
    assert gini.score([[]] * 4, spread, SCHEMA) == pytest.approx(0.0)
    units = [f"{n:016x}" for n in range(40)]
    assert not bound(gini, ScoredRows([[]] * 40, spread * 10, SCHEMA, units, {}), 0.05).exact


@pytest.mark.parametrize(
    "name", ["ndcg@11", "ndcg", "ndcg@10:after=x", "recall@0", "lift@10:before=5", "exposure_gini:after=5"]
)
def test_what_is_no_metric_is_said(name):
    with pytest.raises(RungError, match="no metric"):
        TASK.metric(name, SCHEMA)
