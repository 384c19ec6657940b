"""The page on writing (write-text.md, write-text.zh.md): its product is the example, what it names is there."""

import json
import re

from rung.building.ladder import rung_problems
from rung.core import registry
from rung.core.spec.product import load_product, parse_product
from rung.modalities.text.writing_options import OPTIONS, read_options
from rung.testing import tiny_examples
from support import ROOT

PAGES = [ROOT / "docs" / "howto" / name for name in ("write-text.md", "write-text.zh.md")]
BLOCK = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def test_the_product_shown_is_the_file_and_the_others_are_read():
    spec = (ROOT / "examples" / "poems" / "product.yaml").read_text(encoding="utf-8").split("\n", 1)[1]
    for page in PAGES:
        shown, ladder = blocks(page, "yaml")
        assert shown == spec
        product = parse_product(spec + ladder)
        assert product.ladder is not None and not rung_problems(product)
    for name in ("poems/product", "headlines/product", "replies/product", "replies/product.zh"):
        product, _ = load_product(ROOT / "examples" / f"{name}.yaml")
        assert product.task == "text_generation" and product.writing is not None


def test_request_and_answer_shown_are_such():
    task, examples = tiny_examples("text_generation")
    names = {field.name for field in task.columns(examples.schema, True)}
    for page in PAGES:
        (command,) = [block for block in blocks(page, "bash") if "curl" in block]
        asked = json.loads(re.search(r"-d '(.*)'", command)[1])["inputs"][0]
        assert set(asked) == {"prompt", "options"} and read_options(asked["options"])
        (answer,) = map(json.loads, blocks(page, "json"))
        assert set(answer) == names
        words = page.read_text(encoding="utf-8")
        for name in [
            *OPTIONS,
            *registry.models_for("text_generation"),
            *(m.name for m in task.metrics(examples.schema)),
        ]:
            assert f"`{name}`" in words or f"`{name}: " in words
