"""docs/howto/language-models.md and language-models.zh.md are followed, with a server over loopback as the model."""

import re

import pytest

from llm_server import completion, llm_server
from rung.core.spec.product import parse_product
from rung.runtime.llm import endpoint
from support import ROOT, run_cli, run_python

PAGES = ("language-models.md", "language-models.zh.md")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)


def blocks(name, language):
    text = (ROOT / "docs" / "howto" / name).read_text(encoding="utf-8")
    return [block for kind, block in FENCE.findall(text) if kind == language]


@pytest.fixture
def local(monkeypatch):
    """A model in place of `rung llm serve`."""

    def reply(body, number):
        return completion('{"label": "shipping"}' if "response_format" in body else "hello", usage=(40, 6))

    with llm_server(reply) as server:
        monkeypatch.setitem(endpoint.SERVICES, "local", (server.base, ""))
        yield server


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_followed(name, local, tmp_path):
    probed = next(block for block in blocks(name, "bash") if "probe" in block)
    done = run_cli(*probed.split()[1:])
    assert done.returncode == 0 and "json_schema" in done.stdout, done.stderr
    (code,) = blocks(name, "python")
    done = run_python(code, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.strip() == "shipping 40 0.0", done.stderr


def test_both_pages_show_the_same_and_the_spec_is_valid():
    for language in ("bash", "python", "yaml"):
        assert blocks(PAGES[0], language) == blocks(PAGES[1], language)
    rest = "task: text_classification\ndata: {path: x.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"
    asked, cascade = (parse_product(rest + spec) for spec in blocks(PAGES[0], "yaml"))
    assert asked.ladder[1].model == "llm_prompt" and asked.privacy.mask_before_llm
    assert [stage.model for stage in cascade.cascade.stages] == ["tfidf_linear", "llm_prompt"]
