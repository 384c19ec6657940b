"""What families of tables promise: sure as they are right, costs that thresholds follow, intervals that hold."""

from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from rung.core import registry
from rung.core.model import DataFacts, FitContext
from rung.core.scalars import cell_text
from rung.core.types import Examples

pytest.importorskip("lightgbm")


def examples_of(task_name, inputs, targets, costs=None):
    task = registry.task(task_name)
    schema = task.schema(list(inputs), sorted({str(t) for t in targets}))
    cells = {name: Counter(map(cell_text, column)) for name, column in inputs.items()}
    schema = task.described(schema, Counter(targets), lambda: cells, costs or {})
    n = len(targets)
    return task, Examples(
        schema, inputs, list(targets), [f"{i:016x}" for i in range(n)], list(range(n)), [0.0] * n
    )


def fitted(name, examples, effort=1):
    family = registry.model(name)
    return family.fit(examples, family.Params(), FitContext(effort=effort))


def halves(n, seed=0):
    order = np.random.default_rng(seed).permutation(n)
    return order[: n // 2].tolist(), order[n // 2 :].tolist()


@pytest.fixture(scope="module")
def tumours():
    found = load_breast_cancer()
    inputs = {str(name): found.data[:, j] for j, name in enumerate(found.feature_names)}
    return inputs, ["malignant" if t == 0 else "benign" for t in found.target]


@pytest.mark.parametrize("name", ["linear_table", "boosted_trees", "stack"])
def test_tumours_are_told_apart_and_the_malignant_label_is_the_one_that_matters(name, tumours):
    task, examples = examples_of("tabular_classification", *tumours)
    assert examples.schema.labels == ("benign", "malignant")
    train, test = (examples.take(rows) for rows in halves(len(examples)))
    answers = fitted(name, train).predict(test.inputs)
    assert task.metric("roc_auc", test.schema).score(test.targets, answers, test.schema) > 0.97


def test_the_threshold_follows_the_costs(tumours):
    costs = {"false_negative": 100.0, "false_positive": 1.0}
    task, examples = examples_of("tabular_classification", *tumours, costs)
    train, test = (examples.take(rows) for rows in halves(len(examples)))
    model = fitted("linear_table", train)
    assert model.chosen["threshold"] < 0.2
    metric = task.metric("expected_cost", test.schema)
    spent = metric.score(test.targets, model.predict(test.inputs), test.schema)
    plain = list(registry.model("linear_table").fit(
        Examples(examples_of("tabular_classification", *tumours)[1].schema, train.inputs, train.targets, train.units, train.rows, train.times),
        registry.model("linear_table").Params(), FitContext(effort=1)).predict(test.inputs))  # fmt: skip
    assert spent <= metric.score(test.targets, plain, test.schema)


def test_one_in_a_thousand_does_not_collapse():
    rng = np.random.default_rng(0)
    n = 40_000
    x = rng.normal(size=(n, 6))
    chance = 1 / (1 + np.exp(-(2.0 * x[:, 0] + 1.5 * x[:, 1] - 10.0)))
    positive = rng.random(n) < chance
    assert 0.0005 < positive.mean() < 0.004
    inputs = {f"x{j}": x[:, j] for j in range(6)}
    task, examples = examples_of("tabular_classification", inputs, ["yes" if p else "no" for p in positive])
    train, test = (examples.take(rows) for rows in halves(n))
    for name in ("linear_table", "boosted_trees"):
        answers = fitted(name, train).predict(test.inputs)
        assert task.metric("roc_auc", test.schema).score(test.targets, answers, test.schema) > 0.85, name
        said = float(np.mean([a.extra["probabilities"][1] for a in answers]))
        assert said == pytest.approx(np.mean([t == "yes" for t in test.targets]), rel=0.5), name


def test_a_value_seen_once_is_known_again_and_the_model_does_not_hold_it(tmp_path):
    """Two people share a ticket and a fate: of a hundred of the tickets training has one of the two."""
    rng = np.random.default_rng(0)
    fate = np.tile(rng.random(400) < 0.5, 2)
    ticket = np.tile([f"T-{number:05d}" for number in rng.permutation(400)], 2)
    inputs = {"ticket": ticket.tolist(), "noise": rng.normal(size=800)}
    task, examples = examples_of("tabular_classification", inputs, ["yes" if f else "no" for f in fate])
    model = fitted("boosted_trees", examples.take(list(range(700))))
    asked = examples.take(list(range(700, 800)))
    answers = model.predict(asked.inputs)
    assert task.metric("roc_auc", asked.schema).score(asked.targets, answers, asked.schema) > 0.9
    strange = model.predict({"ticket": ["T-99999", None], "noise": np.zeros(2)})
    assert all(0.3 < answer.extra["probabilities"][1] < 0.7 for answer in strange)
    model.save(tmp_path)
    assert b"T-0" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    again = type(model).load(tmp_path, examples.schema)
    assert np.array_equal(again.probabilities(asked.inputs), model.probabilities(asked.inputs))
    family = registry.model("boosted_trees")
    discreet = family.fit(examples.take(list(range(700))), family.Params(fewest_rows=3), FitContext(effort=1))
    assert np.ptp(discreet.probabilities({**asked.inputs, "noise": np.zeros(100)})[:, 1]) == 0


def test_intervals_cover_nine_of_ten_on_real_data():
    found = load_diabetes(scaled=False)
    inputs = {str(name): found.data[:, j] for j, name in enumerate(found.feature_names)}
    task, examples = examples_of("tabular_regression", inputs, found.target.tolist())
    shares = []
    for seed in range(6):
        train, test = (examples.take(rows) for rows in halves(len(examples), seed))
        answers = fitted("linear_table", train).predict(test.inputs)
        shares.append(task.metric("covered", test.schema).score(test.targets, answers, test.schema))
    assert np.mean(shares) == pytest.approx(0.9, abs=0.03)


def flats(n, seed):
    """Return inputs and rents of made-up flats."""
    draw = np.random.default_rng(seed)
    size, rooms, where = draw.uniform(20, 120, n), draw.integers(1, 6, n), draw.choice(["n", "s", "e"], n)
    rent = 300 + 11 * size + 40 * rooms + 200 * (where == "n") + draw.normal(0, 60, n)
    return {"size": size.tolist(), "rooms": rooms.astype(float).tolist(), "where": where.tolist()}, rent


@pytest.mark.parametrize("outliers", [[-5e5], [1e12], [-5e5, 3e6]])
@pytest.mark.parametrize("name", ["linear_table", "boosted_trees", "explainable_boosting", "stack"])
def test_targets_far_from_all_others_leave_intervals_and_errors_as_they_are(name, outliers):
    """Without them the mean error is 48 to 60; fitted to them it was 3,000, and intervals held 52 to 78 % of new rows."""
    if name == "explainable_boosting":
        pytest.importorskip("interpret")
    shares, errors = [], []
    for seed in range(2 if name == "explainable_boosting" else 5):
        inputs, rent = flats(1230, seed)
        rent[5 : 5 + len(outliers)] = outliers
        task, examples = examples_of("tabular_regression", inputs, rent.tolist())
        train, test = examples.take(list(range(230))), examples.take(list(range(230, 1230)))
        answers = fitted(name, train).predict(test.inputs)
        for found, metric in ((shares, "covered"), (errors, "mae")):
            found.append(task.metric(metric, test.schema).score(test.targets, answers, test.schema))
    assert 0.88 <= np.mean(shares) <= 0.97 and min(shares) > 0.85 and max(errors) < 90, (shares, errors)


@pytest.mark.parametrize("name", ["linear_table", "boosted_trees", "stack"])
def test_reasons_add_up_to_the_answer(name, tumours):
    _, examples = examples_of("tabular_classification", *tumours)
    model = fitted(name, examples)
    rows = examples.take([0, 7, 100])
    for i, reasons in enumerate(model.explain(rows.inputs, most=100)):
        raw = model.raw(rows.inputs)[i]
        own = model.labels.index(model.predict(rows.inputs)[i].value)
        gap = (raw[own] - raw[1 - own]) * model._fitted.calibration.scale
        mean = model.raw(examples.inputs)
        base = float((mean[:, own] - mean[:, 1 - own]).mean()) * model._fitted.calibration.scale
        assert sum(r.weight for r in reasons) == pytest.approx(gap - base, abs=0.02 * abs(gap) + 0.2)


def test_networks_are_candidates_of_the_stack_where_they_are_asked_for():
    """Targets that bend smoothly and a step: no family alone says both."""
    pytest.importorskip("torch")
    draw = np.random.default_rng(0)
    x, z = draw.normal(size=(2, 700))
    chance = 1 / (1 + np.exp(-3 * np.sin(2.5 * x) - 2 * (z > 0.3) + 1))
    targets = ["yes" if one else "no" for one in draw.random(700) < chance]
    _, examples = examples_of("tabular_classification", {"x": x, "z": z}, targets)
    family = registry.model("stack")
    context = FitContext(effort=1)
    plain = family.fit(examples, family.Params(), context)
    mixed = family.fit(examples, family.Params(networks=True), context)
    assert not any("network" in name for name in plain.chosen["tried"])
    assert any("network" in name for name in mixed.chosen["tried"])
    assert mixed.chosen["search_loss"] <= plain.chosen["search_loss"]
    facts = DataFacts(700, 2, 16.0)
    dear, cheap = (family.cost(facts, family.Params(networks=on), context) for on in (True, False))
    assert dear.fit_seconds > cheap.fit_seconds and dear.cpu_seconds_per_1k > cheap.cpu_seconds_per_1k
