"""What the report shows beyond scores: reliability, learning curve, words; from held-out training rows only."""

import pytest

from rung.building.diagnostics import learning_curve, reliability
from rung.building.explain import Explanations
from rung.core.metrics.base import MeanMetric
from rung.core.model import Reason
from rung.core.types import Examples, Field, Prediction, Schema

SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("a", "b")),))
ACCURACY = MeanMetric("accuracy", lambda truth, answer: float(answer.value == truth), binary=True)


def examples(n, target=lambda i: "ab"[i % 2]):
    numbers = list(range(n))
    return Examples(SCHEMA, {"text": [f"word{i % 2} row {i}" for i in numbers]}, [target(i) for i in numbers],
                    [f"{i:016x}" for i in numbers], [i + 1 for i in numbers], [0.0] * n)  # fmt: skip


def test_reliability_counts_every_row_once_and_finds_overconfidence():
    answers = [Prediction("a", 0.95)] * 100 + [Prediction("a", 0.55)] * 20
    truths = ["a"] * 60 + ["b"] * 40 + ["a"] * 11 + ["b"] * 9
    found = reliability(truths, answers, [ACCURACY])
    assert [b["rows"] for b in found["bins"]] == [20, 100] and found["rows"] == 120
    assert found["bins"][1] == {"low": 0.9, "high": 1.0, "rows": 100, "sure": 0.95, "right": 0.6}
    assert found["error"] == pytest.approx(100 / 120 * 0.35, abs=1e-3)
    assert reliability(truths, [Prediction("a")] * 120, [ACCURACY]) is None


def test_a_curve_fits_three_small_parts_and_ends_where_the_evaluation_did():
    sizes = []

    class Model:
        def predict(self, inputs):
            return [Prediction("a") for _ in inputs["text"]]

    train = examples(400)

    def fit(parts):
        for part in parts:
            sizes.append(len(part))
            assert set(train.take(part).targets) == {"a", "b"}
            yield Model()

    found = learning_curve(train, examples(100), ACCURACY, 0.9, fit)
    assert sizes == [50, 100, 200]
    assert found["points"] == [{"rows": n, "score": 0.5} for n in sizes] + [{"rows": 400, "score": 0.9}]


def test_a_rare_label_stays_in_every_part():
    sizes = []

    class Model:
        def predict(self, inputs):
            return [Prediction("a") for _ in inputs["text"]]

    train = examples(400, lambda i: "b" if i < 5 else "a")

    def fit(parts):
        for part in parts:
            sizes.append(list(train.take(part).targets).count("b"))
            yield Model()

    learning_curve(train, examples(10), ACCURACY, 0.9, fit)
    assert sizes == [3, 3, 3]


def test_explanations_take_words_from_right_rows_and_show_the_surest_mistakes():
    class Model:
        def predict(self, inputs):
            return [Prediction("ab"[int(text[4])], 0.9) for text in inputs["text"]]

        def explain(self, inputs, most=8):
            return [[Reason(text.split()[0], 1.0), Reason("row", -0.5)] for text in inputs["text"]]

    rows = examples(40, lambda i: "a" if i == 7 else "ab"[i % 2])
    why = Explanations()
    why(Model(), rows, Model().predict(rows.inputs))
    found = why.as_dict()
    assert found["words"]["a"][0] | {"rows": 0} == {"text": "word0", "weight": 1.0, "rows": 0}
    assert [word["text"] for word in found["words"]["b"]] == ["word1"]
    assert [(e["row"], e["truth"], e["answer"]) for e in found["examples"]] == [(8, "a", "b")]


def test_a_model_that_cannot_explain_leaves_nothing():
    why = Explanations()
    why(object(), examples(4), [Prediction("a")] * 4)
    assert why.as_dict() == {}


class Noting:
    """A model that answers what its text says, and notes which texts it was asked to explain."""

    def __init__(self):
        self.asked = []

    def predict(self, inputs):
        return [Prediction("ab"[int(text[4])], 0.9) for text in inputs["text"]]

    def explain(self, inputs, most=8):
        self.asked.extend(inputs["text"])
        return [[Reason(text.split()[0], 1.0)] for text in inputs["text"]]


def test_a_slow_model_is_asked_about_fewer_rows_whatever_the_clock_says():
    rows = examples(40, lambda i: "a" if i in {7, 9, 11} else "ab"[i % 2])
    model = Noting()
    answers = model.predict(rows.inputs)
    for seconds, calls in ((0.05, 2), (1.0, 1), (1e-4, 40)):
        model.asked.clear()
        Explanations(seconds)(model, rows, answers)
        assert len(model.asked) == calls


def test_what_explanations_may_cost_is_shared_by_the_folds():
    rows = examples(40, lambda i: "ab"[i % 2])
    model = Noting()
    answers = model.predict(rows.inputs)
    for folds, calls in ((1, 10), (5, 2)):
        model.asked.clear()
        Explanations(0.01, folds)(model, rows, answers)
        assert len(model.asked) == calls
