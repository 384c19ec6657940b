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
from support import run_cli, write_csv

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


def riddles(count):
    """Notes as before, but every fifth is a riddle that only the language model can answer."""
    found = rows(count)
    for number in range(0, count, 5):
        found[number] = (f"a riddle numbered {number * 37 + 11}", "kitchen" if (number // 5) % 2 else "sport")
    return found


def riddle_server(data):
    """A language model that knows the riddles of these rows."""
    known = {text: label for text, label in data if "riddle" in text}

    def reply(body, number):
        text = body["messages"][-1]["content"].removeprefix("<text>").removesuffix("</text>")
        words = {known[text]: "riddle"} if text in known else WORDS
        return by_keywords(words, "sport", logprob=-0.01)(body, number)

    return llm_server(reply)


def test_a_build_proposes_the_cascade_that_lies_on_the_pareto_front(tmp_path):
    data = riddles(800)
    write_csv(tmp_path / "notes.csv", ["text", "label"], data)
    with riddle_server(data) as server:
        spec = {
            "model": "llm_prompt",
            "params": {"service": server.base, "model": "test-1", "usd_in": 1.0, "usd_out": 10.0},
        }
        text = (
            "name: notes\ntask: text_classification\ndata: {path: notes.csv, input: text, target: label}\n"
            "bar: {metric: accuracy, at_least: 0.999}\nbudget: {effort: 1, threads: 1}\n"
            f"ladder: [majority, tfidf_linear, {json.dumps(spec)}]\n"
        )
        (tmp_path / "product.yaml").write_text(text)
        done = rung.build(tmp_path / "product.yaml", run=tmp_path / "run", lang="en")
        found = done.report["cascade"]
        assert found["stages"] == ["tfidf_linear", "llm_prompt"] and 0.1 < found["handed_on"] < 0.4
        assert (
            found["usd_per_1k"] < 0.5 * found["dear"]["usd_per_1k"]
            and found["score"] > found["cheap"]["score"]
        )
        (said,) = [line for line in done.report["advice"] if "Pareto front" in line]
        assert found["yaml"] in said
        page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
        assert "Quality and price with a cascade" in page and "handed on" in page
        # The line is taken as it stands; the cascade is one more rung.
        (tmp_path / "product.yaml").write_text(text + found["yaml"] + "\n")
        again = rung.build(tmp_path / "product.yaml", run=tmp_path / "run2")
        trials = {trial["rung"]: trial for trial in again.report["trials"]}
        assert trials["cascade"]["scores"]["accuracy"] == pytest.approx(found["score"], abs=0.05)
        assert trials["cascade"]["usd_per_1k"] == pytest.approx(found["usd_per_1k"], rel=0.6)
        assert again.report["cascade"] == {}, "there is one already"


def test_a_cascade_asks_the_language_model_about_riddles_alone(tmp_path):
    data = riddles(400)
    write_csv(tmp_path / "notes.csv", ["text", "label"], data)
    with riddle_server(data) as server:
        spec = {
            "model": "llm_prompt",
            "params": {"service": server.base, "model": "test-1", "usd_in": 1.0, "usd_out": 10.0},
        }
        (tmp_path / "product.yaml").write_text(
            "name: notes\ntask: text_classification\ndata: {path: notes.csv, input: text, target: label}\n"
            "bar: {metric: accuracy, at_least: 0.93}\nbudget: {effort: 1, threads: 1}\nladder: [majority, tfidf_linear]\n"
            f"cascade: {json.dumps({'stages': ['tfidf_linear', spec]})}\n"
        )
        done = rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
        assert done.cleared and done.report["winner"] == "cascade"
        trials = {trial["rung"]: trial for trial in done.report["trials"]}
        assert trials["tfidf_linear"]["scores"]["accuracy"] < 0.93 < trials["cascade"]["scores"]["accuracy"]
        chosen = trials["cascade"]["chosen"]
        assert 0.1 < chosen["handed_on"][0] < 0.35 and chosen["stages"] == ["tfidf_linear", "llm_prompt"]
        assert trials["cascade"]["price"]["service"] < 0.4 * 0.05
        assert run_cli("verify", done.bundle).returncode == 0
        model = rung.load(done.bundle)
        assert set(model.manifest.children) == {"tfidf_linear", "llm_prompt"}
        texts = [{"text": "note 1 about the soup of table 2"}, {"text": "a riddle numbered 8"}]
        service = Service(journal=(journal := Journal(tmp_path / "service")), folder=tmp_path / "service")
        with TestClient(create_app([model], service=service)) as client:
            said = client.post(model.manifest.endpoint, json={"inputs": texts}).json()["predictions"]
            kept = [client.get(f"/v1/predictions/{answer['id']}").json() for answer in said]
        assert [answer["answered_by"] for answer in said] == ["tfidf_linear", "llm_prompt"]
        assert kept[0]["price_usd"] < 1e-5 < 4e-5 < kept[1]["price_usd"], "the journal says who was paid"
        journal.close()


def test_a_cascade_of_unknown_or_too_few_stages_is_refused_with_its_line(tmp_path):
    write_csv(tmp_path / "notes.csv", ["text", "label"], rows(60))
    for stages, said in (
        ("[tfidf_linear]", "cascade.stages"),
        ("[tfidf_linear, tfidf_linear]", "of the same family"),
        ("[majority, nothing]", "nothing"),
    ):
        (tmp_path / "product.yaml").write_text(
            "task: text_classification\ndata: {path: notes.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"
            f"ladder: [majority]\ncascade: {{stages: {stages}}}\n"
        )
        with pytest.raises(rung.RungError, match=said) as caught:
            rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
        assert "line 5" in str(caught.value)
