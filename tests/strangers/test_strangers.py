"""The acid test: five plugins, written against public names alone, cross the whole road with no line changed for them."""

import base64
import json
import os
import random
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import rung
from rung.data.prepare.fingerprint import fingerprint_data
from rung.serving.http.app import create_app
from rung.testing import check_kind, check_model, check_task, plugin
from rung.workflows.monitor import check_drift
from served_products import ask as http_ask
from served_products import review_all, served
from support import run_cli

PLUGIN = Path(__file__).parent / "plugin"
TASKS = ("blob_labelling", "prompt_answering", "next_item", "next_level", "loose_reply")
MODELS = (
    "blob_majority", "blob_histogram", "fixed_answer", "popular_items", "co_occurrence", "level_mean", "last_step",
    "same_reply", "known_words",
)  # fmt: skip
HOSTILE = (None, 7, [], {}, [[["x"]]], {"a": 1}, "\x00", "x" * 100_000, True, 1e308)


@pytest.fixture(autouse=True)
def installed():
    """The plugin is found as any installed package is, in processes that rung starts too."""
    with plugin(PLUGIN):
        yield


@pytest.mark.parametrize("name", TASKS)
def test_tasks_keep_the_public_contract(name):
    check_task(name)


@pytest.mark.parametrize("name", MODELS)
def test_models_keep_the_public_contract(name):
    check_model(name)


def test_the_kind_keeps_the_public_contract():
    check_kind("patch")


def test_plugins_import_public_names_alone():
    for path in PLUGIN.glob("*.py"):
        lines = [line for line in path.read_text().splitlines() if "rung" in line and "import" in line]
        assert all(line.startswith("from rung import ") for line in lines), (path.name, lines)


def write(folder, rows, **spec):
    """Write rows and a spec into a folder; return the spec's path."""
    folder.mkdir(parents=True, exist_ok=True)
    if rows is not None:
        with (folder / "rows.jsonl").open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        spec["data"] = {"path": "rows.jsonl", **spec["data"]}
    (folder / "product.yaml").write_text(json.dumps({"budget": {"threads": 1}, **spec}))  # JSON is YAML.
    return folder / "product.yaml"


def opened(bundle):
    model = rung.load(bundle)
    assert model.selftest() == []
    return model, TestClient(create_app([model]), raise_server_exceptions=False)


def ask(client, model, row):
    reply = client.post(model.manifest.endpoint, json={"inputs": [row]})
    assert reply.status_code == 200, reply.text
    return reply.json()["predictions"][0]


def refuses_the_hostile(client, model, name):
    """No value that a caller sends makes the server fail."""
    for value in HOSTILE:
        reply = client.post(model.manifest.endpoint, json={"inputs": [{name: value}]})
        assert reply.status_code in {200, 422}, (value, reply.text[:300])
    assert client.post(model.manifest.endpoint, content=b'{"inputs": [{').status_code == 422


def moved(spec, target):
    """Move a product with its runs into another folder; return the bundle there, which `rung verify` passes."""
    shutil.move(spec.parent, target)
    (bundle,) = target.glob("runs/*/bundle")
    done = run_cli(
        "verify", bundle, env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return bundle


@pytest.fixture
def patches(tmp_path):
    """A folder for each class, with files that cannot be used among them."""
    from blob_labelling import patch

    for i in range(300):
        path = tmp_path / "grey" / "patches" / ("dark" if i % 2 else "light") / f"{i}.grey"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(patch(60 if i % 2 else 190, i))
    (path.parent / "broken.grey").write_bytes(b"no patch at all")
    (path.parent / "empty.grey").write_bytes(b"")
    (path.parent / "notes.txt").write_text("read me")
    (tmp_path / "secret.grey").write_bytes(patch(60, 1))
    (path.parent / "link.grey").symlink_to(tmp_path / "secret.grey")
    return write(
        tmp_path / "grey", None, name="greys", task="blob_labelling",
        data={"path": "patches", "input": "patch", "target": "label"}, bar={"metric": "accuracy", "at_least": 0.9},
    )  # fmt: skip


def test_blob_to_label(patches, tmp_path):
    done = rung.build(patches)
    assert done.cleared and done.report["winner"] == "blob_histogram" and done.report["certificate"]["exact"]
    assert done.report["data"]["quarantined"] == {
        "empty_file": 1, "other_file": 1, "outside_folder": 1, "unreadable": 1,
    }  # fmt: skip
    bundle = moved(patches, tmp_path / "elsewhere")
    model, client = opened(bundle)
    light = (tmp_path / "elsewhere" / "patches" / "light" / "0.grey").read_bytes()
    content = base64.encodebytes(light).decode()
    assert ask(client, model, {"patch": content})["label"] == "light"
    assert ask(client, model, {"patch": {"base64": content, "name": "a.grey"}})["label"] == "light"
    assert model.predict([{"patch": light}])[0].value == "light"
    for path in (
        "/etc/passwd",
        "../patches/light/0.grey",
        "file:///etc/passwd",
        str(bundle / "manifest.json"),
    ):
        refused = client.post(model.manifest.endpoint, json={"inputs": [{"patch": path}]})
        assert refused.status_code == 422 and "never opened" in refused.json()["problem"]
    refuses_the_hostile(client, model, "patch")


def test_an_upload_is_answered(patches):
    model, client = opened(rung.build(patches).bundle)
    light, dark = (
        (patches.parent / "patches" / name).read_bytes() for name in ("light/0.grey", "dark/1.grey")
    )
    reply = client.post(
        model.manifest.endpoint, files=[("patch", ("a.grey", light)), ("patch", ("b.grey", dark))]
    )
    assert reply.status_code == 200, reply.text
    assert [p["label"] for p in reply.json()["predictions"]] == ["light", "dark"]
    document = client.get("/openapi.json").json()
    way = document["paths"][model.manifest.endpoint]["post"]
    assert "multipart/form-data" in way["requestBody"]["content"]


def test_changed_media_are_changed_data(patches):
    from blob_labelling import patch

    from rung.core.spec.product import load_product

    product, base = load_product(patches)
    before = fingerprint_data(product, base)
    assert fingerprint_data(product, base) == before
    (base / "patches" / "dark" / "1.grey").write_bytes(patch(61, 999))
    assert fingerprint_data(product, base) != before


def test_paths_in_a_table_stay_in_its_folder(tmp_path):
    from blob_labelling import patch

    rows = []
    for i in range(300):
        name = f"media/{i}.grey"
        (tmp_path / "shop" / "media").mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).write_bytes(patch(60 if i % 2 else 190, i))
        rows.append({"patch": name, "label": "dark" if i % 2 else "light"})
    (tmp_path / "outside.grey").write_bytes(patch(60, 5))
    rows += [
        {"patch": "../outside.grey", "label": "dark"}, {"patch": "/etc/passwd", "label": "dark"},
        {"patch": "media/none.grey", "label": "dark"}, {"patch": None, "label": "dark"},
        {"patch": {"base64": base64.b64encode(patch(200, 7_000)).decode()}, "label": "light"},
    ]  # fmt: skip
    spec = write(
        tmp_path / "shop", rows, name="greys", task="blob_labelling", data={"input": "patch", "target": "label"},
        bar={"metric": "accuracy", "at_least": 0.9},
    )  # fmt: skip
    done = rung.build(spec)
    assert done.cleared
    left_out = done.report["data"]["quarantined"]
    assert left_out == {"empty_input": 1, "missing_file": 1, "outside_folder": 2}
    assert done.report["data"]["rows"] == 305


class Echo(BaseHTTPRequestHandler):
    """A loopback service that streams the prompt's words in reverse, one line a piece, and counts what it is asked."""

    asked: list[str] = []

    def do_POST(self):
        prompt = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["prompt"]
        self.asked.append(prompt)
        self.send_response(200)
        self.end_headers()
        for word in reversed(prompt.split()):
            self.wfile.write(json.dumps({"piece": word + " "}).encode() + b"\n")

    def log_message(self, *args):
        pass


@pytest.fixture
def service():
    server = HTTPServer(("127.0.0.1", 0), Echo)
    Echo.asked.clear()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def events(text):
    """Return the (event, data) pairs of a stream."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        found.append((lines["event"], json.loads(lines["data"])))
    return found


def prompts(folder, address, **more):
    rng = random.Random(1)
    asked = list(dict.fromkeys(" ".join(rng.sample("abcdefghijklmnop", 4)) for _ in range(200)))
    rows = [{"prompt": p, "reply": " ".join(reversed(p.split()))} for p in asked]
    return write(
        folder, rows, name="reverse", task="prompt_answering",
        data={"input": "prompt", "target": "reply"}, bar={"metric": "overlap", "at_least": 0.8},
        ladder=["fixed_answer", {"model": "service", "params": {"address": address}}], **more,
    )  # fmt: skip


def test_prompt_to_streamed_text_from_a_service_with_a_price(service, tmp_path):
    spec = prompts(tmp_path / "reverse", service)
    rows = (spec.parent / "rows.jsonl").read_text().splitlines()
    done = rung.build(spec)
    assert done.cleared and done.report["winner"] == "service"
    trial = next(t for t in done.report["trials"] if t["rung"] == "service")
    assert trial["usd_per_1k"] == pytest.approx(1.0, rel=0.05) and trial["price"]["service"] == pytest.approx(
        1.0
    )
    # No row is paid for twice.
    assert len(Echo.asked) == len(set(Echo.asked)) <= len(rows)
    model, client = opened(moved(spec, tmp_path / "elsewhere"))
    assert ask(client, model, {"prompt": "x y z"})["answer"] == "z y x "
    reply = client.post(
        model.manifest.endpoint.replace("/predict", "/stream"), json={"inputs": [{"prompt": "one two"}]}
    )
    assert reply.headers["content-type"].startswith("text/event-stream")
    told = events(reply.text)
    assert [data["text"] for event, data in told if event == "piece"] == ["two ", "one "]
    assert told[-1][0] == "answer" and told[-1][1]["predictions"][0]["answer"] == "two one "
    refuses_the_hostile(client, model, "prompt")


def test_a_budget_for_calls_stops_before_it_is_passed(service, tmp_path):
    rows = [{"prompt": f"a{i} b{i}", "reply": f"b{i} a{i}"} for i in range(200)]
    spec = write(
        tmp_path / "reverse", rows, name="reverse", task="prompt_answering",
        data={"input": "prompt", "target": "reply"}, bar={"metric": "overlap", "at_least": 0.8},
        budget={"threads": 1, "usd": 0.02},
        ladder=["fixed_answer", {"model": "service", "params": {"address": service}}],
    )  # fmt: skip
    done = rung.build(spec)
    assert not done.cleared and len(Echo.asked) <= 20
    assert done.report["winner"] == "fixed_answer"


def films(folder, **more):
    rng = random.Random(2)
    rows = []
    for user in range(300):
        film = rng.randrange(10)
        # What a user begins with is seldom what another begins with: histories differ.
        rows += [{"user": f"u{user}", "item": f"rare {rng.randrange(10_000)}"} for _ in range(2)]
        for _ in range(4):
            rows.append({"user": f"u{user}", "item": f"film {film}"})
            film = (film + 1) % 10 if rng.random() < 0.97 else rng.randrange(10)
    return write(
        folder, rows, name="films", task="next_item", data={"input": "history", "target": "next"},
        bar={"metric": "ndcg", "at_least": 0.4}, **more,
    )  # fmt: skip


def test_history_to_ranked_list_by_user(tmp_path):
    spec = films(tmp_path / "films")
    done = rung.build(spec)
    assert done.cleared and done.report["winner"] == "co_occurrence"
    certificate = done.report["certificate"]
    assert (
        certificate["exact"] and certificate["units"] < certificate["rows"] and certificate["of"] == "users"
    )
    model, client = opened(moved(spec, tmp_path / "elsewhere"))
    assert ask(client, model, {"history": ["film 3"]})["items"][0] == "film 4"
    refuses_the_hostile(client, model, "history")


def levels(folder, **more):
    rng = random.Random(3)
    rows = []
    for device in range(40):
        level = rng.uniform(0, 50)
        for hour in range(30):
            rows.append({"device": f"d{device}", "hour": hour, "level": round(level, 3)})
            level += 1.0 + rng.gauss(0, 0.15)
    rng.shuffle(rows)
    return write(
        folder, rows, name="levels", task="next_level",
        data={"input": "window", "target": "next", "group": "device", "time": "hour"},
        bar={"metric": "near", "at_least": 0.8}, **more,
    )  # fmt: skip


def test_series_with_group_and_time(tmp_path):
    spec = levels(tmp_path / "levels")
    done = rung.build(spec)
    assert done.cleared and done.report["winner"] == "last_step"
    certificate = done.report["certificate"]
    # Overlapping windows of one device are no independent rows: the bound is over devices.
    assert certificate["units"] == 40 and certificate["of"] == "series" and certificate["rows"] > 200
    model, client = opened(moved(spec, tmp_path / "elsewhere"))
    assert ask(client, model, {"window": [1.0, 2.0, 3.0, 4.0]})["level"] == pytest.approx(5.0, abs=0.2)


COLOURS = ("red", "blue", "green")


def replies(folder, **more):
    rows = [
        {"question": f"which colour has item {i} of kind k{i % 9}", "reply": COLOURS[i % 9 % 3]}
        for i in range(400)
    ]
    return write(
        folder, rows, name="loose", task="loose_reply", data={"input": "question", "target": "reply"},
        bar={"metric": "says_it", "at_least": 0.9}, **more,
    )  # fmt: skip


def test_an_answer_that_varies(tmp_path):
    spec = replies(tmp_path / "loose")
    done = rung.build(spec)
    assert done.cleared and done.report["winner"] == "known_words"
    model, client = opened(moved(spec, tmp_path / "elsewhere"))
    said = {ask(client, model, {"question": "which one has k0"})["reply"] for _ in range(30)}
    assert len(said) > 1 and all("red" in reply for reply in said)
    refuses_the_hostile(client, model, "question")


def test_a_product_of_media_is_served_reviewed_improved_and_promoted(patches, tmp_path, monkeypatch):
    from blob_labelling import patch

    spec = json.loads(patches.read_text()) | {
        "serve": {"inputs": "plain", "media": "keep"},
        "improve": {"audit_rows": 60, "audit_share": 0.5, "min_feedback": 30, "margin": 0.2},
    }
    patches.write_text(json.dumps(spec))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    first = rung.build(patches)
    assert first.cleared
    rows = [{"patch": base64.b64encode(patch(55 if i % 2 else 185, 5_000 + i)).decode()} for i in range(240)]
    with served(patches) as (address, env):
        monkeypatch.setenv("RUNG_MASTER_KEY", env["RUNG_MASTER_KEY"])
        said = http_ask(address, "/v1/models/greys/predict", {"inputs": rows})
        assert {p["label"] for p in said["predictions"]} == {"light", "dark"}
        told = http_ask(
            address, "/v1/feedback", {"prediction": said["predictions"][0]["id"], "answer": "light"}
        )
        assert told["prediction"] == said["predictions"][0]["id"]
    assert check_drift(patches, settled=-1.0).report["period"]["rows"] == 240
    review_all(patches, lambda cells: "light" if cells["patch"].measures["brightness"] > 120 else "dark")
    improved = rung.improve(patches)
    assert improved.verdict == "promoted", improved


def loop_of(name, folder, address):
    """Return a product, 240 requests it is served, and the truth of a request as a person knows it."""
    more = {
        "serve": {"inputs": "plain"},
        "improve": {"audit_rows": 60, "audit_share": 0.5, "min_feedback": 30, "margin": 0.2},
    }
    rng = random.Random(7)
    if name == "reverse":
        spec = prompts(folder, address, **more)
        asked = [{"prompt": " ".join(rng.sample("abcdefghijklmnopqrstuvwxyz", 5))} for _ in range(240)]
        return spec, asked, lambda cells: " ".join(reversed(cells["prompt"].split()))
    if name == "films":
        spec = films(folder, **more)
        asked = [{"history": [f"own {i}", f"film {i % 10}"]} for i in range(240)]
        return spec, asked, lambda cells: f"film {(int(list(cells['history'])[-1].split()[1]) + 1) % 10}"
    if name == "levels":
        spec = levels(folder, **more)
        starts = [rng.uniform(0, 50) for _ in range(240)]
        asked = [{"window": [round(start + step, 3) for step in range(4)]} for start in starts]
        return spec, asked, lambda cells: list(cells["window"])[-1] + 1.0
    spec = replies(folder, **more)
    asked = [{"question": f"which colour has thing {i} of kind k{i % 9}"} for i in range(240)]
    return spec, asked, lambda cells: COLOURS[int(cells["question"].split()[-1][1:]) % 3]


@pytest.mark.parametrize("name", ["reverse", "films", "levels", "loose"])
def test_the_loop_closes_for_every_kind_of_answer(name, service, tmp_path, monkeypatch):
    """Served, drift, feedback, review, improvement: no step knows what the answer is."""
    spec, asked, truth = loop_of(name, tmp_path / name, service)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    assert rung.build(spec).cleared
    with served(spec) as (address, env):
        monkeypatch.setenv("RUNG_MASTER_KEY", env["RUNG_MASTER_KEY"])
        said = http_ask(address, f"/v1/models/{name}/predict", {"inputs": asked})["predictions"]
        assert len({prediction["id"] for prediction in said}) == 240
        told = http_ask(address, "/v1/feedback", {"prediction": said[0]["id"], "answer": truth(asked[0])})
        assert told["prediction"] == said[0]["id"]
    assert check_drift(spec, settled=-1.0).report["period"]["rows"] == 240
    assert review_all(spec, truth).labelled >= 60
    improved = rung.improve(spec)
    assert improved.verdict in {"promoted", "reject"}, improved
