"""Rare labels: weighting and thinning change what a fit sees, never what its probabilities mean."""

import csv

import numpy as np
import pytest

from rung.core import registry
from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples
from rung.modalities.tables.features import Cells
from rung.training.tables.candidates import list_candidates
from rung.training.tables.class_balance import balance_rows, prior_shift
from rung.training.tables.objective import TrainingTargets

pytest.importorskip("lightgbm")
KINDS = ("none", "weights", "thin")


def simulated(n, seed):
    """Rows whose true chance of the second label is known: 1 in 150 on average."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    chance = 1 / (1 + np.exp(-(1.2 * x[:, 0] + 0.8 * x[:, 1] - 6.2)))
    codes = (rng.random(n) < chance).astype(np.int64)
    return Cells(x, np.zeros((n, 0), np.int32), ()), TrainingTargets(np.eye(2)[codes], codes), chance


def as_examples(cells, goal):
    """The same rows as a family gets them."""
    task = registry.task("tabular_classification")
    inputs = {f"x{j}": cells.numbers[:, j] for j in range(3)}
    targets = ["yes" if code else "no" for code in goal.codes]
    texts = {name: {repr(v): 1 for v in column[:500].tolist()} for name, column in inputs.items()}
    schema = task.described(task.schema(list(inputs), targets), {"no": 9, "yes": 1}, lambda: texts, {})
    n = len(targets)
    return Examples(schema, inputs, targets, [f"{i:016x}" for i in range(n)], list(range(n)), [0.0] * n)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["linear_table", "boosted_trees"])
def test_probabilities_stay_those_of_the_data(name, kind):
    cells, goal, _ = simulated(40_000, 0)
    test, _, chance = simulated(20_000, 1)
    family = registry.model(name)
    model = family.fit(as_examples(cells, goal), family.Params(balance=kind), FitContext(effort=2))
    said = model.probabilities({f"x{j}": test.numbers[:, j] for j in range(3)})[:, 1]
    assert said.mean() == pytest.approx(chance.mean(), rel=0.25)
    # As likely as the truth makes it, among the likeliest too: one in fifty rows.
    top = np.argsort(-said)[:400]
    assert said[top].mean() == pytest.approx(chance[top].mean(), rel=0.4)


def test_what_weights_and_thinning_do_to_rows():
    cells, goal, _ = simulated(60_000, 0)
    rare = int(goal.codes.sum())
    heavy = balance_rows(cells, goal, {"balance": "weights"}, 0)
    sums = [heavy.weights[goal.codes == k].sum() for k in (0, 1)]
    assert sums[0] == pytest.approx(sums[1]) and heavy.shift[1] < 0 < heavy.shift[0]
    thin = balance_rows(cells, goal, {"balance": "thin"}, 0)
    counts = np.bincount(thin.y.codes)
    assert counts[1] == rare and counts[0] == max(20 * rare, 2_000) and thin.weights is None
    assert thin.shift[0] - thin.shift[1] == pytest.approx(np.log((60_000 - rare) / counts[0]))
    numbers = TrainingTargets(goal.targets[:, :1], None)
    assert balance_rows(cells, numbers, {"balance": "weights"}, 0).y is numbers


def test_scores_are_levelled_to_the_labels_shares():
    rng = np.random.default_rng(0)
    raw, codes = rng.normal(size=(5_000, 3)), rng.choice(3, 5_000, p=[0.9, 0.09, 0.01])
    shift = prior_shift(raw, codes, 2.0)
    logits = 2.0 * (raw + shift)
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(said.mean(axis=0), np.bincount(codes) / 5_000, atol=1e-5)


def test_weighting_is_tried_where_a_label_is_rare_and_set_where_it_is_asked_for():
    _, goal, _ = simulated(5_000, 0)
    params = registry.model("boosted_trees").Params
    names = [c.name for c in list_candidates(("trees",), False, 5_000, goal, params(), FitContext())]
    assert any(name.endswith(", weights") for name in names)
    asked = list_candidates(("trees",), False, 5_000, goal, params(balance="thin"), FitContext())
    assert {c.settings["balance"] for c in asked} == {"thin"}
    even = TrainingTargets(np.eye(2)[np.arange(100) % 2], np.arange(100) % 2)
    assert not any(
        "," in c.name for c in list_candidates(("trees",), False, 100, even, params(), FitContext())
    )
    with pytest.raises(RungError) as error:
        make_params(params, {"balance": "smote"})
    assert "'none', 'weights' or 'thin'" in error.value.problem


@pytest.fixture(scope="module")
def shuttle(example_data):
    """Readings of a space shuttle (river 0.26.1), one abnormal in a thousand."""
    with (example_data("rare") / "rare.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    task = registry.task("tabular_classification")
    inputs = {name: np.array([float(row[j]) for row in rows]) for j, name in enumerate(head[:-1])}
    targets = [row[-1] for row in rows]
    cells = {name: {repr(v): 1 for v in column[:500].tolist()} for name, column in inputs.items()}
    schema = task.described(task.schema(list(inputs), ["0", "1"]), {"0": 1, "1": 1}, lambda: cells, {})
    n = len(rows)
    found = Examples(schema, inputs, targets, [f"{i:016x}" for i in range(n)], list(range(n)), [0.0] * n)
    order = np.random.default_rng(0).permutation(n)
    return task, found.take(order[: n // 2].tolist()), found.take(order[n // 2 :].tolist())


@pytest.mark.parametrize("name", ["linear_table", "boosted_trees"])
@pytest.mark.parametrize("kind", [None, "weights", "thin"])
def test_one_in_a_thousand_on_real_data(name, kind, shuttle):
    task, train, test = shuttle
    family = registry.model(name)
    model = family.fit(train, family.Params(balance=kind), FitContext(effort=1))
    answers = model.predict(test.inputs)
    assert task.metric("roc_auc", test.schema).score(test.targets, answers, test.schema) > 0.99
    said = np.mean([a.extra["probabilities"][1] for a in answers])
    assert said == pytest.approx(np.mean([t == "1" for t in test.targets]), rel=0.5)
