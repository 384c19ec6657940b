"""The page on reading documents shows the example's file, metrics and rungs that there are, in both languages."""

import re

import pytest
import yaml

from rung.core import registry
from rung.core.spec.product import parse_product
from support import ROOT

PAGES = [ROOT / "docs" / "howto" / name for name in ("reading.md", "reading.zh.md")]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)
EXAMPLE = ROOT / "examples" / "cards"


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_product_shown_is_the_file(page):
    (shown,) = (yaml.safe_load(block) for block in blocks(page, "yaml"))
    assert shown == yaml.safe_load((EXAMPLE / "product.yaml").read_text(encoding="utf-8"))
    assert parse_product(yaml.safe_dump(shown)).task == "document_reading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_metric_and_rung_is_named(page):
    text = page.read_text(encoding="utf-8")
    task = registry.task("document_reading")
    named = [metric.name for metric in task.metrics(task.schema(["image"], []))]
    for name in [*named, *registry.models_for("document_reading")]:
        assert f"`{name}`" in text, name
    assert "`exact_fields`" in text


def test_both_pages_show_the_same_commands():
    english, chinese = (
        [line.split() for block in blocks(page, "bash") for line in block.splitlines()] for page in PAGES
    )
    assert english == [[word for word in line if word not in {"--lang", "zh"}] for line in chinese]
