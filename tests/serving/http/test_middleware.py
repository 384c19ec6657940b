"""What a server withstands and says: ids, metrics, too much, too slow, broken journals, models exchanged under load."""

import asyncio
import json
import shutil
import sqlite3
import threading
import time

import pytest

import rung
from rung.cleaning.pipeline import CleaningPipeline
from rung.core.errors import BundleError
from rung.core.spec.cleaning import PrivacySpec
from rung.core.spec.serve import ServeSpec
from rung.serving.bundle_source import find_bundle_source, set_champion, shared_settings
from rung.serving.http.middleware import RequestMiddleware
from rung.serving.model_registry import ModelRegistry
from rung.serving.service import Service
from server_process import ASK, URL, repacked
from support import write_spec
from waiting import LONG, wait_until


def test_an_answer_has_an_id_and_takes_feedback(opened):
    with opened() as server:
        mine, reviewer = server.headers["predict"], server.headers["review"]
        reply = server.client.post(
            URL, json={**ASK, "subject": "ann"}, headers={**mine, "X-Request-ID": "r-1"}
        )
        made = reply.json()["predictions"][0]["id"]
        assert reply.headers["x-request-id"] == "r-1" and reply.headers["cache-control"] == "no-store"
        said = {"prediction": made, "answer": "tech"}
        ours = server.client.post("/v1/feedback", json=said, headers=mine)
        theirs = server.client.post("/v1/feedback", json=said, headers=reviewer)
        assert ours.status_code == theirs.status_code == 201
        assert ours.json()["source"] == "user" and theirs.json()["source"] == "review"
        found = server.client.get(f"/v1/predictions/{made}", headers=reviewer).json()
        assert [(f["author"], f["source"]) for f in found["feedback"]] == [
            ("predict", "user"),
            ("review", "review"),
        ]
        assert found["request_id"] == "r-1" and found["caller"] == "predict" and found["latency_ms"] > 0
        _, other = server.keys.create("other", "predict")
        foreign = server.client.post("/v1/feedback", json=said, headers={"Authorization": f"Bearer {other}"})
        assert foreign.status_code == 404, "one caller does not judge another's answers"
        posing = server.client.post("/v1/feedback", json={**said, "source": "review"}, headers=mine)
        assert posing.status_code == 403


def test_what_is_masked_never_reaches_the_journal(opened, desk, monkeypatch):
    monkeypatch.setattr(
        desk, "_chain", CleaningPipeline.from_spec(None, PrivacySpec(mask=["phone", "email"], drop=["cn_id"]))
    )
    said = "The striker called 13800138000 or ann@example.org"
    with opened(keys=False, inputs="plain") as server:
        made = server.client.post(URL, json={"inputs": {"text": said}}).json()["predictions"][0]["id"]
        refused = server.client.post(
            URL, json={"inputs": {"text": "我的身份证号是11010519491231002X"}}
        ).json()
        kept = server.client.get(f"/v1/predictions/{made}").json()["input"]["text"]
        assert "<PHONE_1>" in kept and "<EMAIL_1>" in kept and "The striker" in kept
        assert "error" in refused["predictions"][0] and "id" not in refused["predictions"][0]
        files = b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
        assert b"striker" in files
        for secret in (b"13800138000", b"ann@example.org", b"11010519491231002X"):
            assert secret not in files


def test_wrong_request_ids_are_replaced(opened):
    with opened(keys=False) as server:
        for given in ("a b", "x" * 65, "a\tb", "é", ""):
            reply = server.client.get("/healthz", headers={"X-Request-ID": given.encode("latin-1")})
            assert reply.headers["x-request-id"] != given


def test_metrics_count_without_naming_anything_a_caller_chose(opened):
    with opened() as server:
        server.client.post(URL, json=ASK, headers=server.headers["predict"])
        server.client.get("/etc/passwd", headers=server.headers["predict"])
        server.client.get("/v1/models/xyzzy", headers=server.headers["predict"])
        server.client.get("/v1/models")
        text = server.client.get("/metrics", headers=server.headers["review"]).text
    assert 'rung_requests_total{endpoint="/v1/models/{name}/predict",status="200"} 1' in text
    assert 'rung_refused_total{reason="key"} 1' in text and "rung_request_seconds_bucket" in text
    assert 'le="+Inf"' in text and "passwd" not in text and "xyzzy" not in text
    for line in text.splitlines():
        assert line.startswith("# ") or len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) >= 0


def test_too_much_at_once_is_refused_not_queued(opened, desk, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    true_respond = desk.respond

    def slow(*args, **kwargs):
        begun.set()
        go.wait(LONG)
        return true_respond(*args, **kwargs)

    monkeypatch.setattr(desk, "respond", slow)
    with opened(keys=False, max_in_flight=1, threads=1) as server:
        first = threading.Thread(target=lambda: replies.append(server.client.post(URL, json=ASK)))
        replies = []
        first.start()
        begun.wait(LONG)
        refused = server.client.post(URL, json=ASK)
        go.set()
        first.join(LONG)
        assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
        assert replies[0].status_code == 200
        assert server.client.post(URL, json=ASK).status_code == 200


def test_too_slow_an_answer_is_given_up(opened, desk, monkeypatch):
    monkeypatch.setattr(desk, "respond", lambda *a, **k: time.sleep(0.5) or [])
    with opened(keys=False, seconds=0.1) as server:
        reply = server.client.post(URL, json=ASK)
        assert reply.status_code == 503 and "longer than 0.1 seconds" in reply.json()["problem"]


def test_a_bug_is_said_without_its_words(opened, desk, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise KeyError("The striker scored twice")

    monkeypatch.setattr(desk, "respond", broken)
    with opened(keys=False) as server:
        reply = server.client.post(URL, json=ASK, headers={"X-Request-ID": "r-2"})
        assert reply.status_code == 500 and "r-2" in reply.json()["fix"]
        assert "striker" not in reply.text


def test_the_line_of_a_request_is_json_and_worth_less_than_its_answer(opened, monkeypatch):
    import io

    from rung.core import logs

    stream = io.StringIO()
    monkeypatch.setattr(logs._REQUESTS, "stream", stream)
    before = logs.LOGGER.level
    logs.LOGGER.setLevel("INFO")
    with opened() as server:
        asked = server.client.post(
            URL, json=ASK, headers={**server.headers["predict"], "X-Request-ID": "r-3"}
        )
        line = json.loads(stream.getvalue().splitlines()[-1])
        assert asked.status_code == 200 and {"at", "level", "event", "ms"} <= line.keys()
        assert (line["request_id"], line["caller"], line["status"]) == ("r-3", "predict", 200)
        assert line["endpoint"] == "/v1/models/{name}/predict" and line["method"] == "POST"
        stream.close()
        assert server.client.post(URL, json=ASK, headers=server.headers["predict"]).status_code == 200
    logs.LOGGER.setLevel(before)


def test_a_held_journal_is_503_and_readyz_says_so(opened):
    with opened(keys=False) as server:
        holder = sqlite3.connect(server.journal.path, isolation_level=None)
        holder.execute("begin immediate")
        reply = server.client.post(URL, json=ASK)
        assert reply.status_code == 503 and reply.headers["retry-after"] == "2"
        assert "has locked the journal" in reply.json()["problem"]
        assert server.client.get("/healthz").status_code == 200
        assert server.client.get("/readyz").status_code == 503
        holder.execute("rollback")
        holder.close()
        assert server.client.get("/readyz").status_code == 200
        assert server.client.post(URL, json=ASK).status_code == 200


def gate(receive, **limits):
    """Return the status with which a bare gate answers a POST whose body comes from `receive`."""
    sent = []

    async def app(scope, receive, send):
        raise AssertionError("the body was not whole")

    async def send(message):
        sent.append(message)

    async def run():
        await RequestMiddleware(app, Service(limits=ServeSpec(**limits)), None, None)(
            {"type": "http", "method": "POST", "path": "/v1/feedback", "headers": []}, receive, send
        )

    # A thread of its own: the browser tests leave a running event loop in this one.
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    thread.join()
    return sent[0]["status"]


def test_a_slow_body_and_one_that_breaks_off(monkeypatch):
    monkeypatch.setattr("rung.serving.http.middleware._BODY_SECONDS", 0.1)

    async def trickle():
        await asyncio.sleep(0.03)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def breaks():
        return {"type": "http.disconnect"}

    async def flood():
        return {"type": "http.request", "body": b"a" * (1 << 20), "more_body": True}

    assert (gate(trickle), gate(breaks), gate(flood)) == (408, 400, 413)


def test_versions_stand_beside_each_other(opened, built, desk, tmp_path):
    second = rung.load(repacked(built.bundle, tmp_path / "second", "v2"))
    with opened(keys=False, predictors=[desk, second]) as server:
        assert server.client.post(URL, json=ASK).json()["version"] == desk.manifest.version
        asked = server.client.post("/v1/models/desk/versions/v2/predict", json=ASK)
        assert asked.json()["version"] == "v2"
        unknown = server.client.post("/v1/models/desk/versions/v3/predict", json=ASK)
        assert unknown.status_code == 404 and "v2" in unknown.json()["fix"]
        paths = server.client.get("/openapi.json").json()["paths"]
        assert URL in paths and "/v1/models/desk/versions/v2/predict" in paths


def test_a_model_is_exchanged_and_no_request_is_dropped(opened, built, tmp_path):
    place = repacked(built.bundle, tmp_path / "place", "v1")
    with opened(predictors=[rung.load(place)]) as server:
        stop, seen = threading.Event(), []

        def ask():
            while not stop.is_set():
                reply = server.client.post(URL, json=ASK, headers=server.headers["predict"])
                seen.append((reply.status_code, reply.json().get("version")))

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: seen, "an answer")
        repacked(built.bundle, place, "v2")
        reload = server.client.post("/v1/models/desk/reload", headers=server.headers["admin"])
        assert reload.status_code == 200 and reload.json()["version"] == "v2"
        wait_until(lambda: seen[-1][1] == "v2", lambda: seen[-1])
        next((place / "model").rglob("*.safetensors")).write_bytes(b"damaged")
        broken = server.client.post("/v1/models/desk/reload", headers=server.headers["admin"])
        assert broken.status_code == 422 and "SHA-256" in broken.json()["problem"]
        so_far = len(seen)
        wait_until(lambda: len(seen) > so_far, "an answer after that")
        stop.set()
        asking.join(LONG)
        assert {status for status, _ in seen} == {200}
        versions = [version for _, version in seen]
        assert versions == sorted(versions) and set(versions) == {"v1", "v2"}
        audited = [json.loads(line) for line in (server.folder / "audit.jsonl").read_text().splitlines()]
        assert [(a["action"], a["outcome"], a["actor"]) for a in audited] == [
            ("reload", "exchanged", "admin"), ("reload", "refused", "admin")
        ]  # fmt: skip


def test_a_bundle_that_is_replaced_is_noticed(built, tmp_path):
    place, coming = tmp_path / "place", tmp_path / "coming"
    place.symlink_to(repacked(built.bundle, tmp_path / "first", "v1"))
    models = ModelRegistry([rung.load(place)])
    stop, told, noticed = threading.Event(), [], threading.Event()

    def swapped(name, hosted, problem):
        told.append((name, hosted and hosted.manifest.version, problem))
        noticed.set()

    watching = threading.Thread(target=models.watch, args=(stop, swapped))
    watching.start()
    # In one step, as the page says: half a copy would be told of too.
    coming.symlink_to(repacked(built.bundle, tmp_path / "second", "v2"))
    coming.replace(place)
    assert noticed.wait(LONG)
    stop.set()
    watching.join(LONG)
    assert told == [("desk", "v2", "")] and models.get("desk").manifest.version == "v2"


def test_a_product_is_served_by_its_champion(built, news_csv, tmp_path):
    write_spec(tmp_path, news_csv, extra="serve: {folder: kept, rows: 5}\n")
    with pytest.raises(BundleError, match="no finished run of 'desk'"):
        find_bundle_source(tmp_path)
    run = tmp_path / "runs" / "desk-001"
    shutil.copytree(built.bundle, run / "bundle")
    (run / "report.json").write_text('{"cleared": false}')
    with pytest.raises(BundleError, match="cleared its bar"):
        find_bundle_source(tmp_path / "product.yaml")
    (run / "report.json").write_text('{"cleared": true}')
    source = find_bundle_source(tmp_path)
    assert source.find() == run / "bundle" and shared_settings([source]) == (source.spec, tmp_path / "kept")
    shutil.copytree(run, tmp_path / "runs" / "desk-002")
    assert source.find() == run / "bundle", "a later build does not serve by itself"
    (tmp_path / "kept").mkdir()
    set_champion(tmp_path / "kept", "desk", tmp_path / "runs" / "desk-002" / "bundle")
    assert source.find() == tmp_path / "runs" / "desk-002" / "bundle"
    assert (
        find_bundle_source(run).find() == run / "bundle"
        and find_bundle_source(run / "bundle").find() == run / "bundle"
    )
