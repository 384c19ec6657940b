"""Ladders and parameters: order by price, and mistakes in words."""

import pytest

from rung.core.errors import DataError, RungError, SpecError
from rung.core.model import DataFacts, FitContext
from rung.core.params import make_params
from rung.core.prices import load_prices
from rung.core.product import Product
from rung.core.task import ColumnProfile
from rung.models.tfidf_linear import TfidfLinearParams
from rung.stages.plan import ladder, recognise

FACTS = DataFacts(1000, 4, 200.0)


def product(rungs=None):
    raw = {
        "task": "text_classification",
        "data": {"path": "x.csv"},
        "bar": {"metric": "accuracy", "at_least": 0.9},
        "ladder": rungs,
    }
    return Product.model_validate(raw)


def climb(rungs=None):
    return ladder(product(rungs), "majority", FACTS, load_prices(), FitContext())


def test_rungs_stand_in_the_order_of_their_price_and_the_floor_is_among_them():
    found = climb(["tfidf_linear"]).rungs
    assert [rung.name for rung in found] == ["majority", "tfidf_linear"]
    assert found[0].usd_per_1k < found[1].usd_per_1k


def test_one_family_may_stand_twice_with_other_parameters():
    rungs = [{"model": "tfidf_linear", "name": "words", "params": {"use_chars": False}}, "tfidf_linear"]
    assert {rung.name for rung in climb(rungs).rungs} == {"majority", "words", "tfidf_linear"}


def test_all_mistakes_of_a_ladder_at_once():
    rungs = ["tfidf_liner", {"model": "tfidf_linear", "params": {"hed": "svc"}}]
    with pytest.raises(SpecError) as caught:
        climb(rungs)
    text = str(caught.value)
    assert "2 problems" in text and "Did you mean 'tfidf_linear'?" in text and "Did you mean 'head'?" in text


@pytest.mark.parametrize(
    "given,words",
    [
        ({"c": "strong"}, "the parameter 'c' must be a valid number"),
        ({"head": "svm"}, "the parameter 'head' must be 'auto', 'svc', 'ridge' or 'logistic', not 'svm'"),
        ({"chars": [2]}, "the parameter 'chars' Field required"),
        ({"words": [1]}, "the parameter 'words' must be a valid integer"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value(given, words):
    with pytest.raises(RungError) as caught:
        make_params(TfidfLinearParams, given)
    assert words in caught.value.problem and "default" in caught.value.fix


def test_lists_become_tuples():
    assert make_params(TfidfLinearParams, {"chars": [3, 4], "c": 2}) == TfidfLinearParams(chars=(3, 4), c=2.0)


def test_recognise_says_why_nothing_fits():
    columns = [ColumnProfile("id", 100, 100, 4.0, 1.0, ("1", "2"))]
    with pytest.raises(DataError) as caught:
        recognise(columns, 100, "x.csv")
    assert "no task fits this table" in caught.value.problem and "'id'" in caught.value.problem


def test_recognise_finds_text_and_label_in_chinese():
    columns = [
        ColumnProfile("编号", 100, 100, 4.0, 1.0, ("1",)),
        ColumnProfile("评论", 100, 98, 32.0, 0.0, ("很好",)),
        ColumnProfile("类别", 100, 3, 2.0, 0.0, ("好评", "差评")),
    ]
    (guess,) = recognise(columns, 100, "x.csv")
    assert guess.inputs == ("评论",) and guess.target == "类别"
