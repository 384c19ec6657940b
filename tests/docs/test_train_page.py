"""The page on networks (train-a-network.md, train-a-network.zh.md): its product is built and served, its ladders parse."""

import re
import shlex

import pytest
import yaml

from rung.core import registry
from rung.core.params import make_params
from rung.core.spec.product import parse_product
from support import ROOT, run_cli, run_python, write_csv

PAGES = [ROOT / "docs" / "howto" / name for name in ("train-a-network.md", "train-a-network.zh.md")]
BLOCK = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def test_the_page_is_followed(tmp_path, news_rows, wordllama):
    page = PAGES[0]
    write_csv(tmp_path / "news.csv", ["text", "label"], news_rows[::2])
    (tmp_path / "product.yaml").write_text(blocks(page, "yaml")[0], encoding="utf-8")
    (command,) = blocks(page, "bash")
    done = run_cli(*shlex.split(command)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (script,) = blocks(page, "python")
    shown = run_python(script, tmp_path)
    assert shown.returncode == 0 and shown.stdout.startswith("sports "), shown.stderr


def test_both_pages_show_the_same_blocks():
    assert blocks(PAGES[0], "yaml") == blocks(PAGES[1], "yaml")
    assert blocks(PAGES[0], "bash") == blocks(PAGES[1], "bash")
    assert blocks(PAGES[0], "python") == blocks(PAGES[1], "python")


@pytest.mark.parametrize("number", range(6))
def test_ladders_of_the_page_parse(number):
    first, *ladders = (yaml.safe_load(block) for block in blocks(PAGES[0], "yaml"))
    shown = first if number == 0 else first | ladders[number - 1]
    for spec in parse_product(yaml.safe_dump(shown)).ladder or ():
        assert make_params(registry.model(spec.model).Params, spec.params) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_parameter_of_training_is_on_the_page(page):
    text = page.read_text(encoding="utf-8")
    for name in make_params(registry.model("mlp").Params, {}).__dataclass_fields__:
        known = {
            "vocabulary_size",
            "width",
            "hidden",
            "layers",
            "heads",
            "weights",
        }  # of the network, in product.md
        assert name in known or f"`{name}`" in text or f"`{name}:" in text, name
