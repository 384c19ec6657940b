"""The ticket router and the distilled classifier: pages show the files, and small runs of both end as the pages say."""

import csv
import json
import re
import shlex
import sys
import threading
from contextlib import contextmanager

import pytest
import yaml

import rung
from rung.core.spec.product import load_product
from rung.runtime.llm.client import LlmClient, Request
from rung.runtime.llm.endpoint import endpoint
from rung.runtime.llm.pricing import TokenPrice
from rung.workflows.distill import TeacherSpec, distill
from support import ROOT

sys.path.insert(0, str(ROOT / "examples"))
from stand_in import StandIn

PAGES = {
    "router": ("ticket-router.md", "ticket-router.zh.md"),
    "distilled": ("distilled-classifier.md", "distilled-classifier.zh.md"),
}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)


def blocks(page, language):
    text = (ROOT / "docs" / "howto" / page).read_text(encoding="utf-8")
    return [block for kind, block in FENCE.findall(text) if kind == language]


@contextmanager
def standing_in(bundle):
    server = StandIn(str(bundle))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def part(path, target, rows, skip=0):
    """Copy some rows of a table of an example."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *found = csv.reader(file)
    with target.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *found[skip : skip + rows]])


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_followed(name):
    """Both languages show the same commands; files that they name are there, and the product is the file."""
    english, chinese = PAGES[name]
    assert blocks(english, "bash") == blocks(chinese, "bash") and blocks(english, "yaml") == blocks(
        chinese, "yaml"
    )
    commands = [shlex.split(line) for block in blocks(english, "bash") for line in block.splitlines()]
    for word in (word for words in commands for word in words if word.startswith("examples/")):
        assert (ROOT / word).exists() or "/runs/" in word or "/data/" in word, word
    for lang in ("", ".zh"):
        spec, _ = load_product(ROOT / "examples" / name / f"product{lang}.yaml")
        load_product(ROOT / "examples" / name / f"stand_in{lang}.yaml")
        assert spec.task == "text_classification"
    for block in blocks(english, "yaml"):
        shown = yaml.safe_load(block)
        told = yaml.safe_load((ROOT / "examples" / name / "product.yaml").read_text(encoding="utf-8"))
        assert {key: told[key] for key in shown} == shown


@pytest.fixture(scope="module")
def expert(example_data, tmp_path_factory):
    """The stand-in's bundle: reviews that neither product has."""
    home = tmp_path_factory.mktemp("expert")
    part(example_data("router") / "stand_in.zh.csv", home / "rows.csv", 5_000)
    (home / "product.yaml").write_text(
        "name: expert\ntask: text_classification\ndata: {path: rows.csv}\nbar: {metric: accuracy, at_least: 0.7}\n"
        "certify: {fraction: 0}\nladder: [majority, tfidf_linear]\nbudget: {effort: 0, threads: 1}\n"
    )
    return rung.build(home / "product.yaml", run=home / "run").bundle


def test_the_stand_in_answers_like_a_language_model(expert):
    with standing_in(expert) as server:
        client = LlmClient(endpoint(server.base, "stand-in"), TokenPrice(1.0, 1.0))
        schema = {
            "type": "object",
            "properties": {"label": {"enum": ["投诉", "表扬"]}},
            "required": ["label"],
        }
        asked = ({"role": "user", "content": "<text>房间很脏，服务态度极差，再也不会来了</text>"},)
        answer = client.ask(Request(asked, max_tokens=20, schema=schema))
    assert answer.value == {"label": "投诉"} and answer.tokens_in > 0 and server.calls == 1


def test_the_router_hands_on_some_messages_and_costs_a_part(expert, example_data, tmp_path):
    part(example_data("router") / "messages.zh.csv", tmp_path / "messages.csv", 700)
    spec = yaml.safe_load((ROOT / "examples" / "router" / "product.zh.yaml").read_text(encoding="utf-8"))
    with standing_in(expert) as server:
        spec |= {"data": {"path": "messages.csv"}, "budget": {"effort": 1, "threads": 1, "usd": 5}, "bar": {"metric": "accuracy", "at_least": 0.99}}  # fmt: skip
        spec["cascade"] |= {"within": 0.0}
        spec["cascade"]["stages"][1]["params"]["service"] = server.base
        (tmp_path / "product.yaml").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
        done = rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
    trials = {trial["rung"]: trial for trial in done.report["trials"]}
    cascade = trials["cascade"]
    assert cascade["chosen"]["stages"] == ["tfidf_linear", "llm_prompt"]
    assert 0 < cascade["chosen"]["handed_on"][0] < 1
    assert cascade["price"]["service"] > 0 and cascade["spent_usd"] > 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "cascade" in page


def test_the_classifier_is_distilled_and_says_what_was_saved(expert, example_data, tmp_path):
    part(example_data("distilled") / "gold.zh.csv", tmp_path / "gold.csv", 400)
    part(example_data("distilled") / "pool.zh.csv", tmp_path / "pool.csv", 400)
    (tmp_path / "product.yaml").write_text(
        "name: small\ntask: text_classification\ndata: {path: gold.csv}\nbar: {metric: accuracy, at_least: 0.6}\n"
        "ladder: [majority, tfidf_linear]\nbudget: {effort: 0, threads: 1}\n"
    )
    with standing_in(expert) as server:
        teacher = TeacherSpec(
            server.base, "stand-in", {"usd_in": 0.75, "usd_out": 4.5, "search": 0, "examples": 0}
        )
        found = distill(tmp_path / "product.yaml", teacher, tmp_path / "pool.csv", labels=150, usd=1.0)
    assert found.report["teacher"]["accuracy"] > 0.7 and found.report["asked"]["labels"] <= 150
    assert found.report["student"]["usd_per_1k"] < found.report["teacher"]["usd_per_1k"] / 100
    assert found.report["break_even_rows"] > 100 and (found.folder / "distill.html").is_file()
