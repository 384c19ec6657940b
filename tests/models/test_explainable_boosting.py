"""Sums of tables: the same answers as the library that fitted them, reasons that are exact Shapley values, any target."""

import itertools
import math

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from rung.core import registry
from rung.core.errors import MissingExtra
from rung.core.model import DataFacts, FitContext
from rung.modalities.tables.additive import AdditiveModel
from rung.modalities.tables.features import Cells
from rung.training.tables.ebm import fit_additive, purify
from rung.training.tables.objective import TrainingTargets

pytest.importorskip("interpret")


# Four values, another one, nothing.
SIZES = (6, 6)


def made(rows=400, labels=2, seed=0):
    """Two numbers (one with gaps), two categories; an answer that hangs on all of them, two together."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 2))
    codes = rng.integers(0, 4, size=(rows, 2)).astype(np.int32)
    score = numbers[:, 0] * (codes[:, 0] > 1) + numbers[:, 1] + (codes[:, 1] == 2)
    numbers[::11, 1] = np.nan
    cells = Cells(numbers, codes, SIZES)
    if not labels:
        return cells, TrainingTargets(score[:, None], None)
    answer = np.searchsorted(np.quantile(score, np.linspace(0, 1, labels + 1)[1:-1]), score).astype(np.int64)
    return cells, TrainingTargets(np.eye(labels)[answer], answer)


@pytest.mark.parametrize("labels", [0, 2, 3])
def test_answers_are_those_of_the_library(labels, monkeypatch):
    from rung.training.tables import ebm

    kept = []
    whole = ebm._fit_ebm
    monkeypatch.setattr(ebm, "_fit_ebm", lambda *args: kept.append(whole(*args)) or kept[0])
    cells, goal = made(labels=labels)
    part = fit_additive(cells, goal, {"pairs": 2, "bags": 2}, FitContext())
    rows = np.hstack([cells.numbers, cells.codes.astype(float)])
    theirs = kept[0].predict(rows) if not labels else kept[0].decision_function(rows)
    ours = part.raw(cells)
    assert ours.shape == (len(cells), max(labels, 1))
    if labels == 2:
        ours = ours[:, 1] - ours[:, 0]
    assert np.allclose(ours.squeeze(), theirs, atol=1e-4)


def test_reasons_are_the_shapley_values_of_independent_columns():
    """Against the definition: every order of columns, unknown ones averaged over their own training rows."""
    cells, goal = made(60, 0)
    # Few different values, so that averages over all combinations stay small.
    cells = Cells(np.round(cells.numbers), cells.codes, SIZES)
    part = fit_additive(cells, goal, {"pairs": 3, "bags": 1}, FitContext())
    values = np.hstack([cells.numbers, cells.codes.astype(float)])
    assert any(len(term.axes) == 2 for term in part.terms)

    def worth(row, known):
        grids = [[row[j]] if j in known else values[:, j] for j in range(4)]
        mixed = np.array(list(itertools.product(*[np.unique(g) for g in grids])))
        weight = np.prod(
            [[np.mean(np.isclose(grids[j], x, equal_nan=True)) for x in mixed[:, j]] for j in range(4)],
            axis=0,
        )
        return float(weight @ part.raw(Cells(mixed[:, :2], mixed[:, 2:].astype(np.int32), SIZES))[:, 0])

    row = values[3]
    ours = part.contributions(Cells(row[None, :2], row[None, 2:].astype(np.int32), SIZES))[0, :, 0]
    table = {known: worth(row, known) for n in range(5) for known in itertools.combinations(range(4), n)}
    exact = np.zeros(4)
    for j in range(4):
        for known in (k for k in table if j not in k):
            weight = math.factorial(len(known)) * math.factorial(3 - len(known)) / 24
            exact[j] += weight * (table[tuple(sorted((*known, j)))] - table[known])
    assert np.allclose(ours, exact, atol=1e-5)


def test_a_pair_is_taken_apart_into_columns_and_what_is_left():
    rng = np.random.default_rng(1)
    table, weights = rng.normal(size=(5, 4, 2)), rng.integers(0, 9, size=(5, 4)).astype(float)
    first, second, both, mean = purify(table, weights)
    assert np.allclose(first[:, None] + second[None] + both + mean, table)
    p, q = weights.sum(axis=1) / weights.sum(), weights.sum(axis=0) / weights.sum()
    assert np.allclose(p @ first, 0) and np.allclose(q @ second, 0)
    assert np.allclose(np.einsum("abk,b->ak", both, q), 0) and np.allclose(np.einsum("abk,a->bk", both, p), 0)


def test_a_label_that_a_fold_lacks_and_codes_never_seen():
    cells, goal = made(labels=3)
    some = np.flatnonzero(goal.codes != 1)
    part = fit_additive(cells.take(some), goal.take(some), {"pairs": 1, "bags": 1}, FitContext())
    raw = part.raw(cells)
    assert raw.shape == (len(cells), 3) and (raw.argmax(axis=1) != 1).all()
    only = np.flatnonzero(goal.codes == 2)
    assert (fit_additive(cells.take(only), goal.take(only), {}, FitContext()).raw(cells).argmax(1) == 2).all()
    strange = Cells(np.array([[1e300, np.nan]]), np.array([[99, 99]], dtype=np.int32), SIZES)
    assert np.isfinite(part.raw(strange)).all()
    again = AdditiveModel.from_arrays(part.arrays())
    assert np.array_equal(again.raw(cells), raw)


def test_categories_of_few_rows_are_answered_as_another_one():
    cells, goal = made()
    cells.codes[:2, 0] = 3
    cells.codes[2:, 0] %= 3
    part = fit_additive(cells, goal, {"pairs": 0, "bags": 1}, FitContext())
    asked = Cells(
        cells.numbers[:1].repeat(4, axis=0), np.array([[3, 0], [4, 0], [5, 0], [0, 0]], np.int32), SIZES
    )
    rare, other, gap, common = part.raw(asked)[:, 1].tolist()
    assert rare == other == gap != common


def test_tumours_are_told_apart():
    found = load_breast_cancer()
    codes = (found.target == 0).astype(np.int64)
    goal, cells = (
        TrainingTargets(np.eye(2)[codes], codes),
        Cells(found.data, np.zeros((len(codes), 0), np.int32), ()),
    )
    order = np.random.default_rng(0).permutation(len(codes))
    train, test = order[:300], order[300:]
    part = fit_additive(cells.take(train), goal.take(train), {"pairs": 0}, FitContext())
    raw = part.raw(cells.take(test))
    assert ((raw[:, 1] > raw[:, 0]) == codes[test]).mean() > 0.92


def test_without_its_extra_it_is_left_out_with_the_line_that_installs_it(monkeypatch):
    family = registry.model("explainable_boosting")
    assert family.unavailable(DataFacts(100, 2, 10.0), family.Params(), FitContext()) is None
    monkeypatch.setattr(family, "PACKAGES", ("no_such_package",))
    reason = family.unavailable(DataFacts(100, 2, 10.0), family.Params(), FitContext())
    assert (
        isinstance(reason, MissingExtra) and reason.fix == "In rung's source folder: pip install -e '.[ebm]'"
    )
