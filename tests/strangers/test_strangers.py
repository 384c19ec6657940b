"""The acid test: three tasks nobody planned for cross the whole pipeline with no line changed outside their files."""

import base64
import json
import random
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import rung
from rung.core.model import Streams
from rung.core.plugins import refresh
from rung.core.spec.product import Product
from rung.serving.http.app import create_app

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """Put the plugin on the path: its entry points are found like those of any installed package."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    refresh()
    yield
    refresh()
    for name in ("blob_labelling", "prompt_answering", "next_item"):
        sys.modules.pop(name, None)


def build(tmp_path, monkeypatch, rows, **spec):
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "rows.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    spec["data"] = {"path": "rows.jsonl", **spec["data"]}
    return rung.build(Product.model_validate(spec), run=tmp_path / "run")


def ask(bundle, row):
    model = rung.load(bundle)
    assert model.selftest() == []
    client = TestClient(create_app([model]))
    reply = client.post(model.manifest.endpoint, json={"inputs": [row]})
    assert reply.status_code == 200, reply.text
    return reply.json()["predictions"][0]


def test_blob_to_label(tmp_path, monkeypatch):
    rng = random.Random(0)
    rows = []
    for i in range(400):
        dark = i % 2
        path = tmp_path / f"{i}.bin"
        path.write_bytes(bytes(rng.randrange(0, 160) + 96 * (1 - dark) for _ in range(200)))
        rows.append({"file": str(path), "kind": "dark" if dark else "light"})
    done = build(
        tmp_path, monkeypatch, rows, name="blobs", task="blob_labelling",
        data={"input": "file", "target": "kind"}, bar={"metric": "accuracy", "at_least": 0.9},
    )  # fmt: skip
    assert done.cleared and done.report["winner"] == "blob_histogram"
    assert done.report["certificate"]["exact"]
    content = base64.b64encode(Path(rows[0]["file"]).read_bytes()).decode()
    assert ask(done.bundle, {"file": content})["label"] == "light"


class Echo(BaseHTTPRequestHandler):
    """A loopback service that streams the prompt's words in reverse, one line a piece."""

    def do_POST(self):
        prompt = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"]
        self.send_response(200)
        self.end_headers()
        for word in reversed(prompt.split()):
            self.wfile.write(json.dumps({"piece": word + " "}).encode() + b"\n")

    def log_message(self, *args):
        pass


def test_prompt_to_streamed_text_through_a_loopback_service(tmp_path, monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        rng = random.Random(1)
        prompts = [" ".join(rng.sample("abcdefghijklmnop", 4)) for _ in range(200)]
        rows = [{"prompt": p, "reply": " ".join(reversed(p.split()))} for p in dict.fromkeys(prompts)]
        address = f"http://127.0.0.1:{server.server_port}/"
        done = build(
            tmp_path, monkeypatch, rows, name="reverse", task="prompt_answering",
            data={"input": "prompt", "target": "reply"}, bar={"metric": "overlap", "at_least": 0.8},
            ladder=["fixed_answer", {"model": "service", "params": {"address": address}}],
        )  # fmt: skip
        assert done.cleared and done.report["winner"] == "service"
        assert ask(done.bundle, {"prompt": "x y z"})["answer"] == "z y x "
        model = rung.load(done.bundle)
        assert isinstance(model._model, Streams)
        assert list(model._model.stream({"prompt": "one two"})) == ["two ", "one "]
    finally:
        server.shutdown()
        server.server_close()


def test_history_to_ranked_list_by_user(tmp_path, monkeypatch):
    rng = random.Random(2)
    films = [f"film {i}" for i in range(10)]
    rows = []
    for user in range(300):
        for _ in range(2):
            last = rng.randrange(10)
            following = films[(last + 1) % 10] if rng.random() < 0.95 else rng.choice(films)
            history = [rng.choice(films) for _ in range(3)] + [films[last]]
            rows.append({"user": f"u{user}", "history": history, "next": following})
    done = build(
        tmp_path, monkeypatch, rows, name="films", task="next_item",
        data={"input": "history", "target": "next", "group": "user"}, bar={"metric": "ndcg", "at_least": 0.8},
    )  # fmt: skip
    assert done.cleared and done.report["winner"] == "co_occurrence"
    certificate = done.report["certificate"]
    assert certificate["exact"] and certificate["units"] < certificate["rows"]
    assert ask(done.bundle, {"history": ["film 3"]})["items"][0] == "film 4"
