"""Every task keeps the contract that stages rely on."""

import pytest

from rung.core import registry
from rung.core.errors import RungError
from rung.core.types import Prediction

NAMES = registry.task_names()


@pytest.mark.parametrize("name", NAMES)
class TestTask:
    def test_names_agree(self, name):
        task = registry.task(name)
        assert task.name == name and task.title
        assert task.floor in registry.models_for(name)

    def test_tiny_has_rows_of_its_own_schema(self, name):
        task = registry.task(name)
        rows = task.tiny()
        inputs = [key for key in rows[0] if key != "target"]
        schema = task.schema(inputs, [row["target"] for row in rows])
        assert schema.input_names == tuple(inputs) and len(rows) >= 20
        task.check({t: sum(r["target"] == t for r in rows) for t in {r["target"] for r in rows}}, "tiny")
        assert [m.name for m in task.metrics(schema)][0] == task.default_metric
        assert task.metric(task.default_metric, schema).name == task.default_metric

    def test_an_unknown_metric_names_the_known_ones(self, name):
        task = registry.task(name)
        schema = task.schema(["text"], ["a", "b"])
        with pytest.raises(RungError) as caught:
            task.metric("acuracy", schema)
        assert task.default_metric in caught.value.fix or "accuracy" in caught.value.fix

    def test_units_ignore_case_width_and_space(self, name):
        task = registry.task(name)
        assert task.dedup_key({"text": "Ｈello   World\n"}) == task.dedup_key({"text": "hello world"})
        assert task.dedup_key({"text": "hello"}) != task.dedup_key({"text": "world"})


def test_missing_labels_and_the_label_none_of_the_above():
    task = registry.task("text_classification")
    for raw in (None, "", "  ", "NaN", "null", float("nan")):
        assert task.parse_target(raw) is None
    assert (
        task.parse_target(" 0 ") == "0"
        and task.parse_target(3) == "3"
        and task.parse_target(False) == "False"
    )


def test_same_is_about_probabilities():
    task = registry.task("text_classification")
    one = Prediction("a", 0.5, extra={"probabilities": [0.5, 0.5]})
    assert task.same(one, Prediction("b", 0.5, extra={"probabilities": [0.5, 0.5 + 1e-9]}))
    assert not task.same(one, Prediction("a", 0.6, extra={"probabilities": [0.6, 0.4]}))
