"""Fields of a text: how cells are read, what is equal, and what metrics count; exact bounds under simulation."""

import json

import numpy as np
import pytest

from rung.core.errors import RungError
from rung.core.field_values import field_values, fields_text, folded_fields, hits_and_misses, read_fields
from rung.core.types import Field, Prediction, Schema
from rung.tasks.text_extraction import TextExtraction

TASK = TextExtraction()
SCHEMA = Schema(
    (Field("text", "text", "input"),),
    (Field("fields", "values", "output"), Field("who", "list", "output", form="2 of 3"), Field("sum", "list", "output", form="1 of 3")),
)  # fmt: skip


@pytest.mark.parametrize(
    "cell,found",
    [
        ('{"who": "Ann"}', {"who": ("Ann",)}),
        ({"who": [" Ann ", "ann", "Bob"], "sum": None, "no": 7}, {"who": ("Ann", "Bob"), "no": ("7",)}),
        ("{}", {}),
        ({"金额": ["３０元", "30元"]}, {"金额": ("30元",)}),
    ],
)
def test_cells_are_read_and_values_are_told_apart_without_case_width_and_blanks(cell, found):
    assert dict(field_values(read_fields(cell))) == found


@pytest.mark.parametrize("cell", [None, "", "  ", float("nan")])
def test_an_empty_cell_holds_no_answer(cell):
    assert read_fields(cell) is None


@pytest.mark.parametrize(
    "cell", ["Ann", "[1, 2]", '{"who": {"first": "Ann"}}', 3, {"who": ["x"] * 40}, "{broken"]
)
def test_what_is_no_object_of_values_is_named(cell):
    with pytest.raises(ValueError, match="bad_target: "):
        read_fields(cell)


def test_equal_fields_have_equal_texts():
    one, other = {"b": ["2", "1"], "a": ["x"], "c": []}, {"a": ["x"], "b": ["1", "2", "1"]}
    assert fields_text(one) == fields_text(other) == '{"a": ["x"], "b": ["1", "2"]}'
    assert folded_fields(fields_text({"a": ["Ａ  b"]})) == folded_fields(fields_text({"a": ["a B"]}))


def test_counts_of_a_row_never_exceed_what_training_rows_have():
    truth = fields_text({"who": ["a", "b", "c", "d"], "sum": ["1"]})
    answer = fields_text({"who": ["a", "x", "y"], "sum": ["2"], "else": ["z"]})
    counts = hits_and_misses(truth, answer, {"who": 2, "sum": 1})
    assert counts == {"who": (1, 1, 1), "sum": (0, 1, 1)}
    for hits, false, missed in counts.values():
        assert hits + false <= 2 and hits + missed <= 2


def test_known_values():
    truths = [fields_text({"who": ["Ann"], "sum": ["5"]}), fields_text({"who": ["Bob"]}), fields_text({})]
    answers = [
        Prediction(fields_text(f))
        for f in ({"who": ["ANN"], "sum": ["6"]}, {"who": ["Bob"], "sum": ["1"]}, {})
    ]
    scores = {m.name: m.score(truths, answers, SCHEMA) for m in TASK.metrics(SCHEMA)}
    # Two values right, two wrong, one missed.
    assert scores == pytest.approx(
        {
            "micro_f1": 4 / 7,
            "precision": 2 / 4,
            "recall": 2 / 3,
            "exact_match": 1 / 3,
            "field_accuracy": 4 / 6,
        }
    )
    assert TASK.metric("f1:sum", SCHEMA).score(truths, answers, SCHEMA) == 0.0
    assert TASK.metric("recall:who", SCHEMA).score(truths, answers, SCHEMA) == 1.0
    lines = {line["label"]: line for line in TASK.details(truths, answers, SCHEMA)["per_label"]}
    assert lines["sum"]["right"] == 0 and lines["sum"]["rows"] == 1 and lines["sum"]["answers"] == 2
    assert lines["who"]["f1"] == 1.0


def drawn(count, seed):
    """Rows whose mistakes come together, and whose wrong values are false and missed at once."""
    rng = np.random.default_rng(seed)
    truths, answers = [], []
    for _ in range(count):
        hard = rng.random() < 0.2
        true = {"who": ["a", "b"][: rng.integers(0, 3)], "sum": ["1"] if rng.random() < 0.7 else []}
        said = {}
        for name, values in true.items():
            said[name] = [v if rng.random() < (0.3 if hard else 0.97) else v + "?" for v in values]
            if hard and rng.random() < 0.5:
                said[name] = said[name][1:]
        truths.append(fields_text(true))
        answers.append(Prediction(fields_text(said)))
    return truths, answers, [f"{rng.integers(1 << 62):016x}" for _ in range(count)]


@pytest.mark.parametrize(
    "name", ["micro_f1", "precision", "recall", "exact_match", "field_accuracy", "f1:who"]
)
def test_bounds_claim_too_much_in_no_more_draws_than_they_say(name):
    metric = TASK.metric(name, SCHEMA)
    truth = metric.score(*drawn(20_000, 99)[:2], SCHEMA)
    wrong, draws, alpha = 0, 150, 0.1
    for seed in range(draws):
        truths, answers, units = drawn(80, seed)
        bound = metric.bound(truths, answers, SCHEMA, units, alpha)
        assert bound.exact
        wrong += bound.value > truth
    assert wrong <= draws * alpha + 4 * (draws * alpha * (1 - alpha)) ** 0.5


def test_bounds_come_near_with_rows_and_groups_are_bootstrapped():
    metric = TASK.metric("micro_f1", SCHEMA)
    truths, answers, units = drawn(1_500, 3)
    reached = metric.score(truths, answers, SCHEMA)
    few, many = (metric.bound(truths[:n], answers[:n], SCHEMA, units[:n], 0.05) for n in (100, 1_500))
    assert few.value < many.value < reached < many.value + 0.06
    assert not metric.bound(truths, answers, SCHEMA, [f"{i % 40:016x}" for i in range(1_500)], 0.05).exact


def test_metrics_of_fields_that_are_not_there():
    with pytest.raises(RungError, match="names no field of the data") as caught:
        TASK.metric("f1:whom", SCHEMA)
    assert "who" in caught.value.fix
    with pytest.raises(RungError, match="has no metric 'accuracy'"):
        TASK.metric("accuracy", SCHEMA)


def test_the_answer_is_json_with_places():
    extra = {"places": [{"field": "who", "value": "Ann", "start": 0, "end": 3, "score": 0.9}]}
    answer = TASK.response(Prediction(fields_text({"who": ["Ann"]}), 0.9, extra=extra), SCHEMA, False)
    assert json.loads(json.dumps(answer)) == {"fields": {"who": ["Ann"]}, "places": extra["places"]}
