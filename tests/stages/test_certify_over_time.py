"""Certificates for groups over time, attacked: models that memorise, series that drift, groups of very different sizes.

In each product of a simulation the pasts of N groups and the model are fixed, the adversary knows the mean value of
every group's later rows, sets the bar just above their average, and the later rows are drawn. Passing is then wrong,
and a valid procedure passes at most an `alpha` share of such products.
"""

import numpy as np
import pytest
from scipy.stats import binom

from rung.building import certify
from rung.building.certify import Population, Requirement
from rung.core.certificate_lock import CertificateLock
from rung.core.metrics.base import MacroF1, MeanMetric
from rung.core.metrics.scored import ScoredRows, bound, mean_over_units, sampling_of
from rung.core.spec.bar import Condition
from rung.core.stats.confidence_bounds import (
    average_exceeds,
    average_lower,
    bootstrap_lower,
    mean_lower,
    proportion_lower,
    successes_lower,
)
from rung.core.types import Examples, Field, Prediction, Schema
from rung.pages.report import certificate_claim

ALPHA, GROUPS = 0.05, 40
SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("no", "yes")),))
ACCURACY = MeanMetric("accuracy", lambda truth, answer: float(truth == answer.value), binary=True)


def most_wrong(products, alpha=ALPHA):
    """The count that a valid procedure exceeds less than once in 100,000 runs."""
    return int(binom.isf(1e-5, products, alpha))


# --- the bounds, exactly -------------------------------------------------------------------------------------------


def successes(chances):
    """Return the distribution of the number of successes of independent trials."""
    found = np.ones(1)
    for chance in chances:
        found = np.convolve(found, [1 - chance, chance])
    return found


@pytest.mark.parametrize("alpha", [0.25, 0.05, 0.0125])
@pytest.mark.parametrize("n", [3, 10, 40])
def test_successes_of_different_trials_err_at_most_alpha(n, alpha):
    rng = np.random.default_rng(n)
    lower = np.array([successes_lower(hits, n, alpha) for hits in range(n + 1)])
    drawn = [rng.random(n), rng.beta(0.2, 0.2, n), rng.beta(0.1, 2.0, n), rng.beta(2.0, 0.1, n)]
    for sure in range(n):
        # Some certain, one uncertain or the rest alike; then scaled to just below a bound, where it hurts.
        drawn += [
            np.r_[np.ones(sure), rng.random(), np.zeros(n - sure - 1)],
            np.r_[np.ones(sure), np.full(n - sure, rng.random())],
        ]
    for chances in drawn:
        for level in (chances.mean(), *(lower[lower > 0] * (1 - 1e-9))):
            own = chances * min(level / chances.mean(), 1.0) if chances.mean() > 0 else chances
            assert successes(own)[lower > own.mean()].sum() <= alpha * (1 + 1e-6)


def test_clopper_pearson_alone_claims_too_much_of_a_single_hit():
    chances = np.r_[0.0505, np.zeros(39)]
    plain = np.array([proportion_lower(hits, 40, ALPHA) for hits in range(41)])
    assert successes(chances)[plain > chances.mean()].sum() > ALPHA
    assert successes_lower(1, 40, ALPHA) == 0.0
    # Where people set bars the cap changes nothing.
    assert [successes_lower(k, 40, ALPHA) for k in range(2, 41)] == [
        proportion_lower(k, 40, ALPHA) for k in range(2, 41)
    ]


def test_predictable_stakes_fail_where_means_fall():
    """Groups that the model knows by heart come first: the capital is made before the losses come."""
    values = np.r_[np.ones(72), np.zeros(8)]
    assert mean_lower(values, 0.0, 1.0, ALPHA) > values.mean()
    assert average_lower(values, 0.0, 1.0, ALPHA) < values.mean()


def test_the_average_does_not_depend_on_the_order():
    values = np.random.default_rng(0).beta(5, 1, 60)
    assert average_lower(values, 0.0, 1.0, ALPHA) == pytest.approx(
        average_lower(np.sort(values), 0.0, 1.0, ALPHA)
    )
    for least in np.linspace(0.05, 0.95, 19):
        assert average_exceeds(values, least, 0.0, 1.0, ALPHA) == (
            average_lower(values, 0.0, 1.0, ALPHA) > least
        )
    scaled = average_lower(3 + 4 * values, 3.0, 7.0, ALPHA)
    assert scaled == pytest.approx(3 + 4 * average_lower(values, 0.0, 1.0, ALPHA))
    assert average_lower(np.zeros(0), -1.0, 1.0, ALPHA) == -1.0 and not average_exceeds(
        np.zeros(0), 0.5, 0, 1, ALPHA
    )
    falling = [average_lower(values, 0.0, 1.0, ALPHA * 2.0**-look) for look in range(12)]
    assert all(later < earlier for earlier, later in zip(falling, falling[1:], strict=False))


# --- adversaries ---------------------------------------------------------------------------------------------------
# Each returns, for one product: the mean value of every group's later rows, and a draw of these rows' values.


def memoriser(rng):
    """The model knows most groups by heart; of each other group all later rows are right together, or wrong."""
    sizes = rng.integers(1, 20, GROUPS)
    means = np.where(rng.random(GROUPS) < rng.uniform(0.3, 0.95), 1.0, rng.uniform(0.2, 0.9))
    return means, [np.full(n, float(rng.random() < mu)) for n, mu in zip(sizes, means, strict=True)]


def drifter(rng):
    """Labels follow a hidden state of two; the model answers with the last one it saw. Later rows depend on each other."""
    sizes = rng.integers(3, 60, GROUPS)
    leaves, returns = rng.uniform(0.01, 0.4, (2, GROUPS))
    means, rows = np.zeros(GROUPS), []
    for g, n in enumerate(sizes.tolist()):
        right, chance, found = True, 1.0, np.zeros(n)
        for t in range(n):
            right = rng.random() > leaves[g] if right else rng.random() < returns[g]
            chance = chance * (1 - leaves[g]) + (1 - chance) * returns[g]
            means[g] += chance / n
            found[t] = right
        rows.append(found)
    return means, rows


def giants(rng):
    """Two groups have nearly all rows, and are easy; the many small ones are hard. Rows would say 0.98."""
    sizes = np.r_[rng.integers(300, 600, 2), rng.integers(1, 4, GROUPS - 2)]
    means = np.r_[1.0, 0.99, rng.beta(8, 2, GROUPS - 2)]
    return means, [(rng.random(n) < mu).astype(float) for n, mu in zip(sizes.tolist(), means, strict=True)]


def one_row_each(rng):
    """One later row a group, each with its own chance, many of them certain."""
    means = np.where(rng.random(GROUPS) < 0.6, 1.0, rng.uniform(0.3, 1.0, GROUPS))
    return means, [(rng.random(1) < mu).astype(float) for mu in means]


def cliff(rng):
    """Every later row is worth 0.97, but each group may break down as a whole, some more easily than others."""
    breaks = rng.choice([0.0, 0.01, 0.3], GROUPS, p=[0.5, 0.3, 0.2])
    worth = [np.full(rng.integers(1, 30), 0.97 * (rng.random() >= b)) for b in breaks]
    return 0.97 * (1 - breaks), worth


def shared_shock(rng):
    """A holiday in the period spoils some kinds of groups together: the claim is about the period as it was."""
    kind, holiday = rng.integers(0, 4, GROUPS), rng.random(4) < 0.5
    means = np.where(holiday[kind], rng.uniform(0.5, 0.9, GROUPS), rng.uniform(0.9, 1.0, GROUPS))
    return means, [
        (rng.random(n) < mu).astype(float) for n, mu in zip(rng.integers(1, 25, GROUPS), means, strict=True)
    ]


ADVERSARIES = [memoriser, drifter, giants, one_row_each, cliff, shared_shock]


def scored_product(rows):
    """Return the rows of a product as metrics get them: an answer's value is what it is worth."""
    worth = np.concatenate(rows)
    units = [f"{g + 1:016x}" for g, found in enumerate(rows) for _ in found]
    return ScoredRows([1.0] * len(worth), [Prediction(float(v)) for v in worth], SCHEMA, units, {})


WORTH = MeanMetric("worth", lambda truth, answer: answer.value)
RIGHT = MeanMetric("right", lambda truth, answer: answer.value, binary=True)


def wrong_share(adversary, products, sampling="fixed", alpha=ALPHA):
    """Return in how many of so many products the bound exceeds the average of the groups' means."""
    wrong = 0
    for seed in range(products):
        means, rows = adversary(np.random.default_rng(seed))
        metric = RIGHT if adversary is one_row_each else WORTH
        wrong += bound(metric, scored_product(rows), alpha, sampling).value > means.mean()
    return wrong


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda a: a.__name__)
def test_at_most_alpha_of_products_pass_wrongly(adversary):
    products = 200
    assert wrong_share(adversary, products) <= most_wrong(products)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.0125])
@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda a: a.__name__)
def test_at_most_alpha_of_many_products_pass_wrongly(adversary, alpha):
    products = 2_000
    assert wrong_share(adversary, products, alpha=alpha) <= most_wrong(products, alpha)


def test_rows_as_units_would_pass_far_more():
    """What a split by time did without groups: rows of one group count as independent."""

    def wrong(adversary):
        count = 0
        for seed in range(200):
            means, rows = adversary(np.random.default_rng(seed))
            all_rows = np.concatenate(rows)
            count += proportion_lower(int(all_rows.sum()), len(all_rows), ALPHA) > means.mean()
        return count

    assert wrong(giants) > 0.9 * 200
    assert wrong(memoriser) > 0.2 * 200


def test_the_attacks_are_strong():
    """Some adversary comes near: on products of three values the bound would be wrong soon if it claimed more."""
    means, rng = np.full(20, 0.8), np.random.default_rng(0)
    draws = (rng.random((4_000, 20)) < means).astype(float)
    at = [average_lower(np.r_[np.ones(k), np.zeros(20 - k)], 0.0, 1.0, 0.2) for k in range(21)]
    wrong = np.array([at[int(row.sum())] > 0.8 for row in draws]).mean()
    assert 0.2 / 20 < wrong <= 0.2


# --- power: a bound that never passes would be valid too -----------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "each", "quality", "bar", "share"),
    [(40, 9, 0.95, 0.8, 0.95), (40, 9, 0.98, 0.85, 0.95), (200, 5, 0.95, 0.9, 0.95), (40, 1, 0.99, 0.85, 0.9), (1_000, 3, 0.93, 0.9, 0.95)],
)  # fmt: skip
def test_a_good_model_certifies(groups, each, quality, bar, share):
    rng = np.random.default_rng(1)
    passed = 0
    for _ in range(40):
        means = rng.beta(30 * quality, 30 * (1 - quality), groups)
        rows = [(rng.random(each) < mu).astype(float) for mu in means]
        passed += bound(RIGHT, scored_product(rows), ALPHA / 2, "fixed").value >= bar
    assert passed >= share * 40


def test_little_is_lost_against_the_bound_for_drawn_groups():
    rng = np.random.default_rng(2)
    lost = []
    for groups in (40, 200, 1_000):
        values = rng.binomial(8, rng.beta(18, 1.4, groups)) / 8
        lost.append(mean_lower(values, 0.0, 1.0, ALPHA / 2) - average_lower(values, 0.0, 1.0, ALPHA / 2))
    assert max(lost) < 0.015


# --- what is published ---------------------------------------------------------------------------------------------


def test_a_look_at_groups_over_time(tmp_path):
    rows = 360
    units = [f"{i % GROUPS + 1:016x}" for i in range(rows)]
    texts = [f"text {i}" for i in range(rows)]
    examples = Examples(
        SCHEMA, {"text": texts}, ["yes"] * rows, units, range(rows), [float(i) for i in range(rows)]
    )
    needs = [Requirement(Condition(metric="accuracy", at_least=0.8), ACCURACY)]
    lock = CertificateLock(tmp_path / "certificate.lock")
    look = certify.begin_look(examples, "a", needs, 0.95, lock)
    answers = [Prediction("yes" if i % 24 else "no") for i in range(rows)]
    outcome = certify.certify(look, needs, examples, answers, lock, "fixed")
    assert outcome.passed and outcome.exact == (True,) and outcome.units == GROUPS
    per_group = np.bincount(np.arange(rows) % GROUPS, weights=[a.value == "yes" for a in answers]) / 9
    assert outcome.published[0] <= average_lower(per_group, 0.0, 1.0, look.alpha / 2)
    found = certify.certificate(outcome, needs, 0.95, Population("series", "fixed", True, 3))
    assert (
        "on later rows of the 40 series, each series weighted equally, in the period after the cut-off"
        in found["claim"]
    )
    assert "3 of them had no earlier rows. Nothing is claimed about other series" in found["claim"]
    assert (found["of"], found["sampling"], found["new_units"], found["exact"]) == (
        "series",
        "fixed",
        3,
        True,
    )


@pytest.mark.parametrize(
    ("metrics", "words"),
    [([ACCURACY], "each user weighted equally, in"), ([MacroF1("macro_f1")], "each user weighted by its number of rows, in"),
     ([ACCURACY, MacroF1("macro_f1")], "each user weighted equally (for macro_f1 by its number of rows), in")],
)  # fmt: skip
def test_a_claim_says_how_much_each_unit_counts(metrics, words):
    needs = [Requirement(Condition(metric=metric.name, at_least=0.8), metric) for metric in metrics]
    exact = tuple(metric is ACCURACY for metric in metrics)
    outcome = certify.Outcome(True, certify.Look(1, 0.025, 1), (0.85,) * len(needs), exact, 300, 30)
    found = certify.certificate(outcome, needs, 0.95, Population("users", "fixed", True))
    bar = [{"metric": metric.name, "at_least": 0.8} for metric in metrics]
    assert words in found["claim"]
    page = certificate_claim({"bar": bar, "certificate": found}, "en")
    assert words in page
    assert "{" not in certificate_claim({"bar": bar, "certificate": found}, "zh")
    drawn = certify.certificate(outcome, needs, 0.95, Population("users"))
    assert words.replace("each user", "each").replace(", in", ", from") in drawn["claim"]
    assert words.removesuffix(", in") in certificate_claim({"bar": bar, "certificate": drawn}, "en")


def test_what_is_no_mean_is_estimated_over_groups():
    truths = ["yes", "no"] * 200
    answers = [Prediction(t if i % 11 else "no") for i, t in enumerate(truths)]
    rows = ScoredRows(truths, answers, SCHEMA, [f"{i % 40 + 1:016x}" for i in range(400)], {})
    assert not bound(MacroF1("macro_f1"), rows, ALPHA, "fixed").exact
    assert bound(ACCURACY, rows, ALPHA, "fixed").exact


def test_blocks_of_one_series_are_estimated_always(tmp_path):
    rows = ScoredRows(["yes"] * 300, [Prediction("yes" if i % 9 else "no") for i in range(300)], SCHEMA,
                      [f"{i // 10 + 1:016x}" for i in range(300)], {})  # fmt: skip
    found = bound(ACCURACY, rows, ALPHA, "blocks")
    assert not found.exact and found.value < mean_over_units(ACCURACY, rows)
    outcome = certify.Outcome(True, certify.Look(1, 0.025, 1), (0.85,), (False,), 300, 30)
    needs = [Requirement(Condition(metric="accuracy", at_least=0.8), ACCURACY)]
    words = certify.certificate(outcome, needs, 0.95, Population("blocks", "blocks", True))["claim"]
    assert (
        "on later stretches of this series like the 30 that certified (estimated by bootstrap, not exact)."
        in words
    )


def test_dependent_rows_of_one_series_need_blocks():
    """An autocorrelated series: rows taken for independent claim too much, blocks err about as often as they may."""
    rng = np.random.default_rng(3)
    wrong = {"rows": 0, "blocks": 0}
    for _ in range(30):
        state, right = rng.random() < 0.9, np.zeros(1_200)
        for t in range(1_200):
            state = rng.random() < (0.99 if state else 0.09)
            right[t] = state
        wrong["rows"] += proportion_lower(int(right.sum()), len(right), ALPHA) > 0.9
        # As `MeanMetric.estimated`, whose 2,000 resamples of 1,200 objects take too long here.
        blocks = np.arange(1_200) // 40
        wrong["blocks"] += (
            bootstrap_lower(lambda rows, x=right: float(x[rows].mean()), blocks, ALPHA, 0) > 0.9
        )
    assert wrong["rows"] > 0.15 * 30 and wrong["blocks"] <= most_wrong(30, 2 * ALPHA)


@pytest.mark.parametrize(
    ("split", "sampling"),
    [({"by": "hash"}, "drawn"), ({"by": "time", "groups": "same"}, "fixed"), ({"by": "time", "units": "blocks"}, "blocks"),
     ({"by": "time"}, "drawn"), ({"by": "audit"}, "drawn")],
)  # fmt: skip
def test_the_split_says_how_units_came_about(split, sampling):
    assert sampling_of(split) == sampling


@pytest.mark.parametrize(
    ("split", "unit", "grouped", "word"),
    [("hash", "row", False, "rows"), ("hash", "row", True, "groups"), ("time", "user", False, "users"),
     ("time", "document", True, "documents"), ("time", "series", True, "series"), ("audit", "row", True, "rows")],
)  # fmt: skip
def test_units_have_their_names(split, unit, grouped, word):
    found = certify.population_of({"by": split}, unit, grouped)
    assert (found.unit, found.period) == (word, split == "time")


def test_blocks_have_theirs():
    assert certify.population_of({"by": "time", "units": "blocks"}, "series", False).unit == "blocks"
