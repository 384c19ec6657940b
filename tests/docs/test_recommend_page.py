"""The page on recommendation shows the example's file, metrics, rungs and wishes that there are, in both languages."""

import json
import re

import pytest
import yaml

from rung.core import registry
from rung.core.spec.product import parse_product
from rung.improvement.shown_lists import read_shown_lists
from rung.modalities.recommendation.wishes import WISHES
from rung.serving.http.schemas import FeedbackRequest
from support import ROOT

PAGES = [ROOT / "docs" / "howto" / name for name in ("recommend.md", "recommend.zh.md")]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_product_shown_is_the_file(page):
    shown, *sections = (yaml.safe_load(block) for block in blocks(page, "yaml"))
    own = ROOT / "examples" / "films" / "product.yaml"
    assert shown == yaml.safe_load(own.read_text(encoding="utf-8"))
    assert parse_product(yaml.safe_dump(shown)).data.group == "user"
    for section in sections:
        merged = shown | section
        if "recommend" in section:
            merged["recommend"] = shown["recommend"] | section["recommend"]
        parse_product(yaml.safe_dump(merged))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_feedback_shown_is_read(page, tmp_path):
    given = [json.loads(block) for block in blocks(page, "json")]
    said = [body for body in given if "prediction" in body]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in given if "prediction" not in line))
    assert len(read_shown_lists(log)[0]) == 1
    said += [
        json.loads(body) for body in re.findall(r"/v1/feedback -d '(.*?)'", page.read_text(encoding="utf-8"))
    ]
    assert len(said) >= 2
    for body in said:
        FeedbackRequest.model_validate(body)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_metric_rung_and_wish_is_named(page):
    text = page.read_text(encoding="utf-8")
    task = registry.task("recommendation")
    schema = task.schema(task.default_inputs(()), [])
    named = [metric.name for metric in task.metrics(schema)]
    for name in [*named, *registry.models_for("recommendation")]:
        assert f"`{name}`" in text, name
    assert all(f"`{wish}" in text for wish in WISHES)
    assert task.metric("lift@10:after=5", schema).name in text
