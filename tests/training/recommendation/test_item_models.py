"""Fits of recommenders agree with their definitions, and the cascade gives nobody a step that is worse than what is popular."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from rung.core import registry
from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.catalogue import Catalogue, Item
from rung.modalities.recommendation.scorers import ByLength, DenseSums, FoldIn, Moment, Popular
from rung.modalities.recommendation.sparse_rows import SparseRows
from rung.testing import tiny_examples
from rung.training.recommendation.factors import als
from rung.training.recommendation.interactions import Case, Interactions, Person
from rung.training.recommendation.item_models import (
    Beginnings,
    ease_weights,
    first_to_later,
    neighbours,
    sparse_of,
    transitions,
)
from rung.training.recommendation.steps import choose_bands


def people(n=60, items=15, seed=0):
    rng = np.random.default_rng(seed)
    own = []
    for _ in range(n):
        taken = rng.permutation(items)[: int(rng.integers(4, 12))].astype(np.int64)
        own.append(Person(taken, np.ones(len(taken)), np.arange(len(taken), dtype=np.float64)))
    catalogue = Catalogue(tuple(Item(f"i{k}") for k in range(items)))
    return Interactions(catalogue, tuple(own), tuple(f"{k:016x}" for k in range(n)))


def moment(*items):
    return Moment(np.array(items, np.int64), np.ones(len(items)), None, len(items))


def test_ease_is_the_regression_of_each_item_on_the_others():
    found = people()
    x, weights = found.matrix.toarray().astype(np.float64), ease_weights(found, 7.0)
    for item in range(x.shape[1]):
        others = np.delete(np.arange(x.shape[1]), item)
        direct = Ridge(alpha=7.0, fit_intercept=False).fit(x[:, others], x[:, item]).coef_
        assert weights[others, item] == pytest.approx(direct, abs=1e-5) and weights[item, item] == 0.0


def test_neighbours_are_shrunk_cosines():
    found = people()
    x = found.matrix.toarray().astype(np.float64)
    both = x.T @ x
    rows = neighbours(found, 100, 5.0)
    expected = both / np.sqrt(np.outer(both.diagonal(), both.diagonal())) * both / (both + 5.0)
    np.fill_diagonal(expected, 0.0)
    dense = np.array([rows.weighted_sum(np.array([row]), np.ones(1)) for row in range(15)])
    assert dense == pytest.approx(expected, abs=1e-3)  # stored in half precision


def test_transitions_count_what_follows():
    catalogue = Catalogue((Item("a"), Item("b"), Item("c")))
    own = Person(np.array([0, 1, 2]), np.ones(3), np.arange(3.0))
    rows = transitions(Interactions(catalogue, (own,) * 4, tuple("wxyz")), 2, 0.5, 10)
    first = rows.weighted_sum(np.array([0]), np.ones(1))
    assert first == pytest.approx([0.0, 4 / 16, 2 / 16], abs=1e-3)  # 4 + 2 counted, and 10 to shrink


def test_beginnings_are_a_ridge_regression():
    found = people()
    lengths = (1, 2, 4)
    first, later = [], []
    for person in found.people:
        for length in lengths:
            if length < len(person.items):
                x, y = np.zeros(15), np.zeros(15)
                x[person.items[:length]], y[person.items[length:]] = 1.0, 1.0
                first.append(x)
                later.append(y)
    direct = Ridge(alpha=3.0).fit(np.array(first), np.array(later))
    scorer = first_to_later(Beginnings.of(found, lengths), 3.0, 15, "prefix_linear")
    x = np.zeros((1, 15))
    x[0, [2, 7]] = 1.0
    assert scorer.scores(moment(2, 7))[1] == pytest.approx(direct.predict(x)[0], abs=5e-3)
    # What stands behind an item is the part of its score that changes with the history.
    ones = np.arange(15)
    alone = scorer.scores(moment(2, 7))[1] - scorer.scores(moment(2))[1]
    assert scorer.behind(moment(2, 7), ones)[1] == pytest.approx(alone, abs=5e-3)


def test_folding_in_gives_the_factors_of_the_fit():
    found = people()
    scorer = als(found, 4, 2.0, 5.0, 30, FitContext())
    assert isinstance(scorer, FoldIn)
    own = found.people[0]
    by, scores = scorer.scores(moment(*own.items.tolist()))
    behind = scorer.behind(moment(*own.items.tolist()), np.arange(15))
    assert by == "als" and behind.sum(axis=0) == pytest.approx(scores, abs=1e-4)
    assert scores[own.items].mean() > np.delete(scores, own.items).mean()


def test_sparse_rows_are_those_of_the_dense_matrix():
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(30, 30)).astype(np.float32)
    rows = sparse_of(dense, 1.0)
    asked, weights = np.array([3, 9, 4]), np.array([1.0, 0.5, -2.0])
    assert rows.weighted_sum(asked, weights) == pytest.approx(weights @ dense[asked], abs=1e-2)
    assert rows.entries(asked, np.array([7, 0])) == pytest.approx(dense[np.ix_(asked, [7, 0])], abs=1e-2)
    again = SparseRows.from_arrays(rows.arrays("rows"), "rows")
    assert again.weighted_sum(asked, weights) == pytest.approx(rows.weighted_sum(asked, weights))
    broken = rows.arrays("rows") | {"rows.columns": rows.arrays("rows")["rows.columns"][:-1]}
    with pytest.raises(ValueError, match="fit together"):
        SparseRows.from_arrays(broken, "rows")


def test_a_step_that_is_not_better_is_not_paid_for():
    """Half of the people want what is popular whatever they had; a step that is better only for long histories gets those alone."""
    catalogue = Catalogue(tuple(Item(f"i{k}") for k in range(40)))
    popular = np.arange(40, 0, -1.0)
    good, cases = np.zeros((40, 40), np.float32), []
    good[20:, 39] = 1.0  # after many events of the second half: the last item
    for person in range(60):
        cases.append(Case(moment(5), frozenset({0, 1, 2}), person))
        cases.append(Case(moment(*range(20, 36)), frozenset({39}), person))
    found = Interactions(catalogue, (), ())
    parts = {"popularity": Popular(popular), "ease": DenseSums(good, "ease")}
    bands, told = choose_bands(parts, ["popularity", "ease"], cases, found)
    assert bands == ((1, "popularity"), (14, "ease"))
    assert [row["step"] for row in told] == ["popularity", "ease"]
    scorer = ByLength(parts, bands)
    assert scorer.scores(moment(5))[0] == "popularity" and scorer.scores(moment(*range(20, 36)))[0] == "ease"
    few, _ = choose_bands(parts, ["popularity", "ease"], cases[:20], found)
    assert few == ((1, "popularity"),)  # ten people are too few to choose by


@pytest.mark.parametrize("name", ["ease", "prefix_linear"])
def test_too_many_items_for_a_matrix_are_refused_before_anything_is_made_of_them(name, monkeypatch):
    """A row of 25,000 items: their matrix would take 5 GB."""
    schema = tiny_examples("recommendation")[1].schema
    many = [[f"i{k}", float(k), 1.0] for k in range(25_000)]
    rows = Examples(schema, {"history": [many[:-1]]}, [many[-1:]], ["a" * 16], [1], [0.0])
    monkeypatch.setattr("rung.training.recommendation.popularity.learned", None)
    with pytest.raises(RungError) as caught:
        registry.model(name).fit(rows, registry.model(name).Params(), FitContext())
    assert (
        "25,000 items need a matrix of 5 GB" in caught.value.problem and "item_neighbours" in caught.value.fix
    )


@pytest.mark.parametrize("name", registry.models_for("recommendation"))
def test_users_that_are_all_alike_are_learned_from(name):
    _, examples = tiny_examples("recommendation")
    alike = examples.take([0] * 30)
    alike = type(alike)(
        alike.schema, alike.inputs, alike.targets, [f"{k:016x}" for k in range(30)], alike.rows, alike.times
    )
    family = registry.model(name)
    model = family.fit(alike, family.Params(), FitContext(effort=1))
    (answer,) = model.predict({**alike.take([0]).inputs})
    assert set(answer.value) == set(alike.targets[0])
