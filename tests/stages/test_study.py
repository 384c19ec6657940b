"""What the report shows beyond scores: reliability, learning curve, words; from held-out training rows only."""

import io
from types import SimpleNamespace

import pytest
from PIL import Image

from rung.building.diagnostics import by_origin, gallery, learning_curve, reliability
from rung.building.explain import Explanations
from rung.core.blobs import Blob
from rung.core.metrics.base import MeanMetric
from rung.core.model import Reason
from rung.core.types import Examples, Field, Prediction, Schema
from rung.workflows import trial

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


def photos(n, camera=lambda i: "") -> Examples:
    """Return small photos, some of a camera that writes its name."""
    cells = []
    for i in range(n):
        exif = Image.Exif()
        if camera(i):
            exif[0x010F], exif[0x0110] = "Acme\0", f"ACME {camera(i)}"
        out = io.BytesIO()
        Image.new("RGB", (16 + 16 * (i % 2), 16), (i % 255, 90, 40)).save(out, "JPEG", exif=exif)
        cells.append(Blob.of(out.getvalue(), f"{i}.jpg"))
    schema = Schema((Field("image", "image", "input"),), SCHEMA.outputs)
    numbers = list(range(n))
    return Examples(schema, {"image": cells}, ["ab"[i % 2] for i in numbers], [f"{i:016x}" for i in numbers],
                    [i + 1 for i in numbers], [0.0] * n)  # fmt: skip


def test_images_are_told_apart_by_camera_or_size():
    made = photos(80, lambda i: "X1" if i < 30 else "rare" if i < 33 else "")
    answers = [Prediction("a" if i < 30 else "ab"[i % 2], 0.5 + i / 200) for i in range(80)]
    found = by_origin(made, range(80), made.targets, answers, [ACCURACY])
    assert [(one["origin"], one["rows"], one["right"]) for one in found] == [
        ("ACME X1", 30, 0.5), ("32 x 16", 24, 1.0), ("16 x 16", 23, 1.0), ("", 3, 1.0),
    ]  # fmt: skip
    assert found[0]["low"] < 0.5 < found[0]["high"] < found[1]["low"]
    assert by_origin(photos(80), range(0, 80, 2), made.targets[::2], answers[::2], [ACCURACY]) == []
    assert by_origin(examples(80), range(80), made.targets, answers, [ACCURACY]) == []


def test_a_gallery_shows_the_least_sure_and_the_surest():
    made = photos(40)
    answers = [Prediction("a", 0.5 + i / 100) for i in range(40)]
    bands = gallery(made, range(40), made.targets, answers, [ACCURACY])
    assert [band["band"] for band in bands] == ["unsure", "middle", "sure"]
    assert [one["row"] for one in bands[0]["images"]] == list(range(1, 9))
    assert [one["row"] for one in bands[2]["images"]] == list(range(40, 32, -1))
    assert all(one["right"] == (one["truth"] == "a") for band in bands for one in band["images"])
    assert all(one["thumbnails"][0].startswith("data:image/") for band in bands for one in band["images"])
    assert gallery(examples(40), range(40), made.targets, answers, [ACCURACY]) == []
    # A text that a page shows may begin like a list.
    read = gallery(made, range(40), ["[1] text"] * 40, answers, [ACCURACY])
    assert read[0]["images"][0]["truth"] == "[1] text"
    assert gallery(made, range(40), made.targets, [Prediction("a")] * 40, [ACCURACY]) == []


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


def test_a_part_of_the_report_that_fails_is_said_and_the_rung_stands(monkeypatch):
    events = []
    run = SimpleNamespace(event=lambda kind, **facts: events.append((kind, facts)))
    made = examples(40)
    setup = SimpleNamespace(run=run, task=SimpleNamespace(metrics=lambda schema: [ACCURACY]))
    rows = SimpleNamespace(train=made, requirements=())
    answers = [Prediction(target, score=0.9) for target in made.targets]
    evaluation = SimpleNamespace(rows=range(40), truths=made.targets, answers=answers)
    monkeypatch.setattr(trial.diagnostics, "gallery", lambda *_: 1 // 0)
    found = trial._looks(setup, SimpleNamespace(name="mine"), rows, evaluation)
    assert found["gallery"] is None and found["reliability"]["rows"] == 40
    assert [(kind, facts["rung"], facts["what"]) for kind, facts in events] == [
        ("not_measured", "mine", "gallery")
    ]
