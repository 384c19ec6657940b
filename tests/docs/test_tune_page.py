"""The pages on tuning a language model: both show the same, and the ladder is one."""

import re
import tomllib

from rung.building.ladder import rung_problems
from rung.core.spec.product import parse_product
from rung.runtime.weights.catalogue import CATALOGUE
from rung.training.torch.causal_weights import ARCHITECTURES
from support import ROOT

PAGES = [
    ROOT / "docs" / "howto" / name for name in ("tune-a-language-model.md", "tune-a-language-model.zh.md")
]
BLOCK = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.S)


def test_the_ladder_is_one_and_the_commands_name_what_is_there():
    english, chinese = (BLOCK.findall(page.read_text(encoding="utf-8")) for page in PAGES)
    assert english == chinese
    (commands, ladder) = (text for _, text in english)
    rest = "task: text_classification\ndata: {path: x.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"
    product = parse_product(rest + ladder)
    assert not rung_problems(product) and product.ladder[1].params["text_tokens"] == 128
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert set(re.search(r"\[(.*?)\]", commands)[1].split(",")) <= set(extras)
    assert re.search(r"weights fetch (\w+)", commands)[1] in {item.name for item in CATALOGUE}


def test_each_architecture_is_named():
    for page in PAGES:
        text = page.read_text(encoding="utf-8").casefold()
        assert all(name in text for name in ARCHITECTURES)
