"""Known answers come first: rules, then repeated texts, then the next family; nothing of the texts is kept."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rung.core.errors import BundleError, RungError
from rung.core.model import DataFacts, FitContext
from rung.core.types import Examples
from rung.models.lookup import Lookup, LookupParams
from rung.tasks.text_classification import TextClassification

ROWS = [
    ("where is my parcel", "delivery", 7),
    ("我的包裹到哪儿了", "delivery", 4),
    ("the courier never came", "delivery", 1),
    ("give me my money back", "billing", 5),
    ("i was charged twice", "billing", 1),
    ("refund the second charge", "billing", 1),
    ("the refund parcel never came", "delivery", 1),
    ("how do i log in", "account", 2),
    ("forgot the password again", "account", 1),
]
RULES = (
    {"contains": "refund", "answer": "billing"},
    {"equals": "where is my parcel", "answer": "account"},
    {"matches": "hello*", "answer": "account"},
)


def examples(rows=ROWS):
    texts, labels, copies = (list(column) for column in zip(*rows, strict=True))
    units = [f"{i:016x}" for i in range(len(rows))]
    schema = TextClassification().schema(["text"], labels)
    return Examples(
        schema, {"text": texts}, labels, units, list(range(len(rows))), [0.0] * len(rows), copies=copies
    )


def fitted(rules=RULES, repeats=3, then="majority", **params):
    given = LookupParams(then, params, rules, repeats)
    return Lookup.fit(examples(), given, FitContext(effort=1))


def ask(model, *texts):
    return model.predict({"text": list(texts)})


def test_rules_win_over_repeats_and_repeats_over_the_model():
    # Parcels come most often, so the floor answers "delivery": whatever else comes was looked up.
    rule, repeat, rest = ask(fitted(), "Where is my parcel", "give me my money back", "anything else")
    assert (rule.value, rule.answered_by) == ("account", "lookup")
    assert (repeat.value, repeat.answered_by) == ("billing", "lookup")
    assert (rest.value, rest.answered_by) == ("delivery", "majority")


@pytest.mark.parametrize("text", ["  Give ME my\tmoney\n back ", "ｇｉｖｅ　ｍｅ my money back"])
def test_a_folded_variant_of_a_repeated_text_hits(text):
    (answer,) = ask(fitted(), text)
    assert (answer.value, answer.answered_by) == ("billing", "lookup")


def test_only_what_stood_often_enough_is_known():
    def known(repeats):
        found = ask(fitted((), repeats), *[text for text, _, _ in ROWS])
        return {row[0] for row, answer in zip(ROWS, found, strict=True) if answer.answered_by == "lookup"}

    assert known(5) == {"where is my parcel", "give me my money back"}
    assert known(2) == {text for text, _, copies in ROWS if copies >= 2}
    assert known(0) == set()
    assert fitted((), 5).chosen["known_texts"] == 2


def test_without_counted_copies_nothing_repeats():
    model = Lookup.fit(replace(examples(), copies=()), LookupParams(repeats=3), FitContext())
    assert model.chosen["known_texts"] == 0


def test_probabilities_sum_to_one_and_the_answer_is_the_likeliest():
    model = fitted()
    texts = [*(text for text, _, _ in ROWS), "hello there", "something new", ""]
    found = model.probabilities({"text": texts})
    assert np.allclose(found.sum(axis=1), 1.0) and (found >= 0).all()
    answers = ask(model, *texts)
    assert [a.value for a in answers] == [model.labels[i] for i in found.argmax(axis=1)]
    assert [a.score for a in answers] == pytest.approx(found.max(axis=1))
    for answer, row in zip(answers, found, strict=True):
        assert np.allclose(answer.extra["probabilities"], row)


def test_a_rule_that_was_always_wrong_still_answers_and_is_hardly_sure():
    rules = ({"contains": "came", "answer": "billing"},)
    (answer,) = ask(fitted(rules), "nobody came")
    right = fitted(({"contains": "came", "answer": "delivery"},))
    assert answer.value == "billing" and answer.score == pytest.approx(9 / 12)
    assert ask(right, "nobody came")[0].score == pytest.approx(11 / 12)


def test_surer_the_more_often_a_text_stood():
    model = fitted(())
    scores = [ask(model, text)[0].score for text in ("我的包裹到哪儿了", "where is my parcel")]
    assert scores == pytest.approx([(4 + 9) / (4 + 10), (7 + 9) / (7 + 10)])


def test_chosen_says_how_often_each_rule_was_right():
    said = fitted().chosen
    assert said["then"] == "majority" and said["rules"] == [
        "contains 'refund' -> billing: right on 1 of 2 training rows",
        "equals 'where is my parcel' -> account: right on 0 of 1 training rows",
        "matches 'hello*' -> account: right on 0 of 0 training rows",
    ]


def test_explain_gives_the_rule_the_count_and_what_the_model_says():
    model = fitted(then="tfidf_linear")
    rule, repeat, rest, empty = model.explain(
        {"text": ["a refund", "我的包裹到哪儿了", "the courier lost it", ""]}
    )
    assert [(r.text, r.weight) for r in rule] == [("contains 'refund' -> billing", 1.0)]
    assert repeat[0].text == "this text stood 4 times in the data"
    assert {r.text for r in rest} & {"courier", "the courier", "the"} and empty == []
    assert fitted().explain({"text": ["the courier lost it"]}) == [[]]


@pytest.mark.parametrize("then", ["majority", "tfidf_linear"])
def test_what_is_saved_answers_the_same(then, tmp_path):
    model = fitted(then=then)
    model.save(tmp_path)
    again = Lookup.load(tmp_path, examples().schema)
    texts = {"text": [*(text for text, _, _ in ROWS), "hello you", "new", ""]}
    assert np.array_equal(again.probabilities(texts), model.probabilities(texts))
    assert [a.answered_by for a in again.predict(texts)] == [a.answered_by for a in model.predict(texts)]
    assert again.chosen == model.chosen and again.children == {then: "next"}
    assert again.explain(texts) == model.explain(texts)


def test_no_training_text_stands_in_the_bundle(tmp_path):
    fitted(repeats=1, rules=()).save(tmp_path)
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for text, _, _ in ROWS:
        for part in {text, *text.split()} - {"is", "my", "i", "in", "do", "the", "me"}:
            assert part.encode() not in content


@pytest.fixture
def saved(tmp_path):
    fitted().save(tmp_path)
    return tmp_path


def refused(folder, words="do not fit the labels"):
    with pytest.raises(BundleError, match=words) as caught:
        Lookup.load(folder, examples().schema)
    assert caught.value.fix == "Build it again."


@pytest.mark.parametrize("label,copies", [(3, 9), (-1, 9), (2**40, 9), (0, -10), (0, 0)])
def test_a_tampered_known_text_is_refused(saved, label, copies):
    arrays = dict(load_file(saved / "lookup.safetensors"))
    arrays["answers"] = arrays["answers"].copy()
    arrays["answers"][0] = label, copies
    save_file(arrays, saved / "lookup.safetensors")
    refused(saved)


@pytest.mark.parametrize("seen", [[[-10, 0], [0, 0], [0, 0]], [[1, 2], [0, 0], [0, 0]], [[1, 1]]])
def test_a_tampered_count_of_a_rule_is_refused(saved, seen):
    arrays = load_file(saved / "lookup.safetensors") | {"seen": np.array(seen, np.int64)}
    save_file(arrays, saved / "lookup.safetensors")
    refused(saved)


@pytest.mark.parametrize("change", [
    {"rules": [["contains", "refund", "spam"]] * 3}, {"rules": [["search", "r.*", "billing"]] * 3}, {"then": "lookup"},
])  # fmt: skip
def test_a_tampered_rule_is_refused(saved, change):
    path = saved / "lookup.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    refused(saved)


@pytest.mark.parametrize(
    "rule,problem,fix",
    [
        ({"contains": "a", "answer": "biling"}, "answers a label that no training row has", "Did you mean 'billing'?"),
        ({"contains": "a", "equals": "b", "answer": "billing"}, "an answer and one of equals, contains, matches", "say"),
        ({"contains": "a"}, "an answer and one of", "say"),
        ({"answer": "billing"}, "an answer and one of", "say"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_said_in_words(rule, problem, fix):
    with pytest.raises(RungError) as caught:
        fitted((rule,))
    assert problem in caught.value.problem and fix in caught.value.fix


def test_a_lookup_cannot_follow_a_lookup():
    with pytest.raises(RungError, match="cannot follow a lookup"):
        fitted(then="lookup")


def test_it_is_there_when_there_is_something_to_look_up():
    def unavailable(repeated=0.0, **params):
        facts = DataFacts(100, 2, 50.0, repeated=repeated)
        return Lookup.unavailable(facts, LookupParams(**params), FitContext())

    assert unavailable(repeated=0.2) is None and unavailable(rules=RULES) is None
    assert "only 1% of its rows" in unavailable(repeated=0.01).problem
    assert unavailable(repeated=0.9, repeats=0) is not None


def test_the_more_is_known_the_cheaper_the_plan():
    def seconds(repeated):
        facts = DataFacts(1000, 2, 200.0, repeated=repeated)
        return Lookup.cost(facts, LookupParams("tfidf_linear"), FitContext()).cpu_seconds_per_1k

    assert seconds(0.5) < seconds(0.0)
