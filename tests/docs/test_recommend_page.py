"""The page on recommendation shows the example's file, metrics, rungs and wishes that there are, in both languages."""

import re

import pytest
import yaml

from rung.core import registry
from rung.core.spec.product import parse_product
from rung.modalities.recommendation.wishes import WISHES
from support import ROOT

PAGES = [ROOT / "docs" / "howto" / name for name in ("recommend.md", "recommend.zh.md")]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_product_shown_is_the_file(page):
    (shown,) = (yaml.safe_load(block) for block in blocks(page, "yaml"))
    own = ROOT / "examples" / "films" / "product.yaml"
    assert shown == yaml.safe_load(own.read_text(encoding="utf-8"))
    assert parse_product(yaml.safe_dump(shown)).data.group == "user"


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
