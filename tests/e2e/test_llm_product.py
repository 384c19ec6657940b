"""A language model as a rung of a product: each row paid for once, stopped by the budget, certified, packed, served."""

import itertools
import json
from collections import Counter

import pytest
from fastapi.testclient import TestClient

import rung
from llm_server import by_keywords, llm_server
from rung.journal.writer import Journal
from rung.serving.http.app import create_app
from rung.serving.service import Service
from support import write_csv

THINGS = ["soup", "bread", "sauce", "goal", "match", "team"]
WORDS = {"kitchen": "soup|bread|sauce", "sport": "goal|match|team"}


def rows(count):
    """Texts of a thing each, with what it belongs to; one in ten is labelled wrongly."""
    found = []
    for number, (thing, place) in zip(
        range(count), itertools.cycle(itertools.product(THINGS, range(7))), strict=False
    ):
        label = "kitchen" if thing in THINGS[:3] else "sport"
        found.append(
            (f"note {number} about the {thing} of table {place}, call 138123456{number % 90 + 10}", label)
        )
    return found


@pytest.fixture
def product(tmp_path):
    data = write_csv(tmp_path / "notes.csv", ["text", "label"], rows(240))

    def write(server, more="", **params):
        params = {"service": server.base, "model": "test-1", "usd_in": 1.0, "usd_out": 10.0, **params}
        spec = {"model": "llm_prompt", "params": params}
        path = tmp_path / "product.yaml"
        path.write_text(
            f"name: notes\ntask: text_classification\ndata: {{path: {data}, input: text, target: label}}\n"
            f"bar: {{metric: accuracy, at_least: 0.8}}\nladder: [majority, {json.dumps(spec)}]\n{more}",
            encoding="utf-8",
        )
        return path

    return write


def sent(server):
    """Return how often each text was labelled; the probe's questions are not about texts."""
    contents = (body["messages"][-1]["content"] for _, body, _ in server.seen)
    return Counter(text for text in contents if text.startswith("<text>"))


def test_a_language_model_is_certified_packed_and_served(product, tmp_path):
    with llm_server(by_keywords(WORDS, "sport", logprob=-0.02)) as server:
        done = rung.build(product(server, "budget: {effort: 1, threads: 1}\n"), run=tmp_path / "run")
        assert done.cleared and done.report["winner"] == "llm_prompt"
        counts = sent(server)
        assert max(counts.values()) == 1, "no row is paid for twice"
        assert not any("138123456" in text for text in counts), "personal data leaves masked"
        trial = done.report["trials"][-1]
        assert trial["price"]["service"] == pytest.approx(0.05)
        assert done.report["spent"]["usd"] == pytest.approx(sum(counts.values()) * 50e-6, rel=0.2)
        assert "goes on serving the same model" in json.dumps(done.report["certificate"])
        for path in done.bundle.rglob("*"):
            assert not path.is_file() or "138123456" not in path.read_text(errors="replace") or path.name in {"selftest.jsonl", "prompt.json"}  # fmt: skip
        model, journal = rung.load(done.bundle), Journal(tmp_path / "service")
        service = Service(journal=journal, folder=tmp_path / "service")
        with TestClient(create_app([model], service=service)) as client:
            said = client.post(
                model.manifest.endpoint, json={"inputs": [{"text": "the soup is cold"}]}
            ).json()
        (answer,) = said["predictions"]
        assert answer["label"] == "kitchen" and answer["answered_by"] == "llm_prompt"
        journal.close()


def test_the_search_is_paid_for_within_the_budget_and_a_resumed_build_pays_nothing_twice(product, tmp_path):
    with llm_server(by_keywords(WORDS, "sport")) as server:
        small = product(server, "budget: {effort: 2, threads: 1, usd: 0.002}\n", search=10)
        first = rung.build(small, run=tmp_path / "run")
        assert not first.cleared and "budget of 0.002 USD" in first.report["trials"][-1]["problem"]
        assert first.report["spent"]["usd"] <= 0.002 + 1e-9
        paid = {json.dumps(body, sort_keys=True) for _, body, _ in server.seen if "<text>" in str(body)}
        server.seen.clear()
        large = product(server, "budget: {effort: 2, threads: 1, usd: 2}\n", search=10)
        again = rung.build(large, run=tmp_path / "run")
        assert again.cleared
        asked = [json.dumps(body, sort_keys=True) for _, body, _ in server.seen if "<text>" in str(body)]
        assert asked and not paid & set(asked), "what was paid for before the stop is not asked again"
        assert again.report["spent"]["usd"] == pytest.approx((len(asked) + len(paid)) * 50e-6, rel=0.1)


def test_a_rung_that_cannot_be_asked_says_why_before_anything_is_fitted(product, monkeypatch):
    class At:
        base = "openai"

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(rung.RungError, match="there is no key for api.openai.com"):
        rung.build(product(At))


@pytest.mark.slow
def test_the_packaged_model_is_a_rung(smollm2, tmp_path):
    from rung.runtime.llm.local_server import LocalServer, LocalServerSettings

    server = LocalServer(LocalServerSettings(port=0))
    data = write_csv(tmp_path / "notes.csv", ["text", "label"], rows(60))
    spec = {
        "model": "llm_prompt",
        "params": {"service": server.base, "model": server.model, "examples": 4, "prompt_tokens": 400},
    }
    (tmp_path / "product.yaml").write_text(
        f"task: text_classification\ndata: {{path: {data}, input: text, target: label}}\n"
        f"bar: {{metric: accuracy, at_least: 0.9}}\nbudget: {{effort: 1, threads: 1}}\nladder: [majority, {json.dumps(spec)}]\n"
    )
    done = rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
    (trial,) = [t for t in done.report["trials"] if t["rung"] == "llm_prompt"]
    assert trial["status"] != "failed" and trial["price"]["service"] > 0, "its seconds are priced"
