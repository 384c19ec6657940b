"""Every task keeps the contract that stages rely on."""

import pytest

from rung.core import registry
from rung.core.errors import RungError
from rung.core.types import Prediction
from rung.testing import check_task

NAMES = registry.task_names()
# Tasks that read no text.
IMAGES = {"image_classification", "image_multilabel", "object_detection", "document_reading"}
NO_TEXT = {*IMAGES, "recommendation"}


@pytest.mark.parametrize("name", NAMES)
def test_the_contract(name):
    check_task(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_TEXT])
def test_an_unknown_metric_names_the_known_ones(name):
    task = registry.task(name)
    schema = task.schema(["text"], ["a", "b"])
    with pytest.raises(RungError) as caught:
        task.metric("acuracy", schema)
    assert task.default_metric in caught.value.fix or "accuracy" in caught.value.fix


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_TEXT])
def test_units_ignore_case_width_and_space(name):
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
        and task.parse_target(False) == "false"
    )


def test_same_is_about_probabilities():
    task = registry.task("text_classification")
    one = Prediction("a", 0.5, extra={"probabilities": [0.5, 0.5]})
    assert task.same(one, Prediction("b", 0.5, extra={"probabilities": [0.5, 0.5 + 1e-9]}))
    assert not task.same(one, Prediction("a", 0.6, extra={"probabilities": [0.6, 0.4]}))
