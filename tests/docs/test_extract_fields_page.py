"""The page on extraction (extract-fields.md, extract-fields.zh.md): its product is the example, what it shows is true."""

import json
import re

from rung.core import registry
from rung.core.field_values import fields_text
from support import ROOT

PAGES = [ROOT / "docs" / "howto" / name for name in ("extract-fields.md", "extract-fields.zh.md")]
BLOCK = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def test_the_product_shown_is_the_file():
    spec = (ROOT / "examples" / "letters" / "product.yaml").read_text(encoding="utf-8").split("\n", 1)[1]
    for page in PAGES:
        assert blocks(page, "yaml") == [spec]


def test_the_answer_shown_is_one_of_its_text():
    """Places are where the values stand in the text of the request above them."""
    for page in PAGES:
        (command,) = [block for block in blocks(page, "bash") if "curl" in block]
        text = json.loads(re.search(r"-d '(.*)'", command)[1])["inputs"][0]["text"]
        (answer,) = map(json.loads, blocks(page, "json"))
        assert fields_text(answer["fields"])
        for place in answer["places"]:
            assert text[place["start"] : place["end"]] == place["value"]
            assert place["value"] in answer["fields"][place["field"]]


def test_every_metric_and_rung_of_the_page_is_one():
    task = registry.task("text_extraction")
    schema = task.schema(("text",), [fields_text({"person": ["Ann Lee"]})])
    for page in PAGES:
        words = page.read_text(encoding="utf-8")
        for metric in task.metrics(schema):
            assert f"`{metric.name}`" in words
        for name in registry.models_for("text_extraction"):
            assert f"`{name}`" in words
    assert task.metric("f1:person", schema)
