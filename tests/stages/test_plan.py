"""Ladders and parameters: order by price, and mistakes in words."""

from dataclasses import replace

import pytest

from rung.building.ladder import check_rules, ladder, recognise
from rung.core.errors import DataError, RungError, SpecError
from rung.core.model import DataFacts, FitContext
from rung.core.params import make_params
from rung.core.prices import load_prices
from rung.core.spec.product import Product
from rung.core.task import ColumnProfile
from rung.models.tfidf_linear import TfidfLinearParams

FACTS = DataFacts(1000, 4, 200.0)


def product(rungs=None, rules=()):
    raw = {
        "task": "text_classification",
        "data": {"path": "x.csv"},
        "bar": {"metric": "accuracy", "at_least": 0.9},
        "ladder": rungs,
        "rules": rules,
    }
    return Product.model_validate(raw)


def climb(rungs=None, rules=(), facts=FACTS):
    return ladder(product(rungs, rules), "majority", facts, load_prices(), FitContext())


def test_rungs_stand_in_the_order_of_their_price_and_the_floor_is_among_them():
    found = climb(["tfidf_linear"]).rungs
    assert [rung.name for rung in found] == ["majority", "tfidf_linear"]
    assert found[0].usd_per_1k < found[1].usd_per_1k


def test_one_family_may_stand_twice_with_other_parameters():
    rungs = [{"model": "tfidf_linear", "name": "words", "params": {"use_chars": False}}, "tfidf_linear"]
    assert {rung.name for rung in climb(rungs).rungs} == {"majority", "words", "tfidf_linear"}


RULES = ({"contains": "refund", "answer": "billing"},)


def test_with_rules_every_rung_but_the_floor_stands_behind_the_lookup():
    wanted = ["tfidf_linear", {"model": "tfidf_linear", "name": "words", "params": {"use_chars": False}}]
    found = climb(wanted, rules=RULES).rungs
    assert {rung.name: rung.model for rung in found} == {
        "majority": "majority", "lookup-tfidf_linear": "lookup", "lookup-words": "lookup",
    }  # fmt: skip
    behind = {rung.name: rung.params for rung in found if rung.model == "lookup"}
    assert behind["lookup-words"].then == "tfidf_linear" and behind["lookup-words"].params == {
        "use_chars": False
    }
    assert all(params.rules == RULES for params in behind.values())


def test_of_every_rung_and_variant_none_answers_before_the_lookup():
    found = climb(rules=RULES).rungs
    assert {rung.model for rung in found} == {"majority", "lookup"}
    assert all(rung.name.startswith("lookup") for rung in found if rung.model != "majority")
    assert "lookup" in {rung.name for rung in found}


def test_the_lookup_comes_by_itself_when_data_repeats_and_only_then():
    names = {
        share: {rung.model for rung in climb(facts=replace(FACTS, repeated=share)).rungs}
        for share in (0.0, 0.2)
    }
    assert "lookup" not in names[0.0] and "lookup" in names[0.2]


def test_rules_that_answer_unknown_labels_are_all_named():
    rules = [
        {"contains": "a", "answer": "biling"},
        {"contains": "b", "answer": "billing"},
        {"contains": "c", "answer": "x"},
    ]
    with pytest.raises(SpecError) as caught:
        check_rules(product(rules=rules), ["billing", "delivery"])
    assert [problem.key for problem in caught.value.problems] == ["rules.0.answer", "rules.2.answer"]
    assert "Did you mean 'billing'?" in str(caught.value) and "Known: 'billing', 'delivery'." in str(
        caught.value
    )


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
