"""The labelling page over HTTP: what it answers, and what it refuses."""

import base64
import io
import json
import re
import time

import pytest
from fastapi.testclient import TestClient

from labelling_world import label_rows, session_in, truth_of
from rung.annotation import app
from rung.annotation.app import PAGE_MESSAGES, create_labelling_app
from rung.core.blobs import Blob, blob_of_file
from rung.core.messages import LANGUAGES, catalogue
from support import ROOT

TOKEN = "secret-word-of-the-address"


@pytest.fixture
def session(tmp_path):
    with session_in(tmp_path) as found:
        yield found


@pytest.fixture
def client(session):
    app = create_labelling_app(session, TOKEN, ["127.0.0.1:8765"], "en", "Ana", "desk")
    return TestClient(app, base_url="http://127.0.0.1:8765")


def post(client, what, headers=None, **body):
    return client.post(f"/{TOKEN}/{what}", json={"by": "Ana", **body}, headers=headers)


def test_media_are_seen_as_pictures(client, session, tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    image_module.new("RGB", (900, 30), (200, 10, 10)).save(tmp_path / "red.png")
    for row in session.pool.rows:
        row.cells["text"] = blob_of_file(tmp_path / "red.png", "red.png", 1 << 20)
    (cell,) = post(client, "next").json()["row"]["cells"]
    assert cell["value"] == "red.png" and cell["picture"].startswith("data:image/jpeg;base64,")
    with image_module.open(io.BytesIO(base64.b64decode(cell["picture"].partition(",")[2]))) as image:
        assert image.width == 640
    assert "img-src data:" in client.get(f"/{TOKEN}/").headers["content-security-policy"]
    for row in session.pool.rows:
        row.cells["text"] = Blob.of(b"no picture", "notes.bin")
    assert post(client, "next").json()["row"]["cells"] == [
        {"name": "text", "value": "notes.bin", "picture": ""}
    ]


def test_label_skip_undo_over_http(client, session):
    row = post(client, "next").json()["row"]
    assert set(row) == {"text", "cells", "guess"} and row["cells"][0]["name"] == "text"
    label = truth_of(row["cells"][0]["value"])
    said = {"text": row["text"], "kind": "label", "label": label, "token": "t" * 16}
    after = post(client, "answer", **said).json()
    assert after["progress"]["labelled"] == 1 and after["row"]["text"] != row["text"]
    # The reply was lost and the page sends again: nothing is written twice.
    assert post(client, "answer", **said).json()["progress"]["labelled"] == 1
    assert len(session._store.entries()) == 1
    back = post(client, "undo", token="u" * 16).json()
    assert back["undone"] and back["row"]["text"] == row["text"] and back["progress"]["labelled"] == 0
    assert post(client, "undo", token="v" * 16).json()["undone"] is False


def test_disagreements_over_http(client, session):
    row = session.next("Ana").row
    session.record_answer("Ana", row.text, "label", "ships")
    session.record_answer("Bo", row.text, "unclear")
    (found,) = post(client, "disagreements").json()["disagreements"]
    assert found["said"] == {"Ana": "ships", "Bo": ""}
    left = post(client, "answer", text=row.text, kind="settle", label="ships", token="s" * 16).json()
    assert left == {"disagreements": []}


def test_only_our_page_gets_in(client):
    good = f"/{TOKEN}/next"
    assert client.get(f"/{TOKEN}/").status_code == 200
    for path in ("/", "/wrong/", "/wrong/next", f"/{TOKEN}x/", "/docs", "/openapi.json", f"/{TOKEN[:-1]}/"):
        assert client.get(path).status_code == 404, path
    assert client.get(f"/{TOKEN}/", headers={"Host": "evil.example:8765"}).status_code == 403
    assert post(client, "next", headers={"Host": "127.0.0.1:1"}).status_code == 403
    assert post(client, "next", headers={"Origin": "http://evil.example"}).status_code == 403
    assert post(client, "next", headers={"Origin": "http://127.0.0.1:8765"}).status_code == 200
    form = client.post(good, content='{"by": "Ana"}', headers={"Content-Type": "text/plain"})
    assert form.status_code == 415 and set(form.json()) == {"problem", "where", "fix"}
    assert client.put(good, json={}).status_code == 405
    assert client.get(f"/{TOKEN}/nothing").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 50_000, b"[]", b'{"by": ""}', b'{"by": 3}', b'{"by": "a", "x": 1}', b'{"by": "\\ud800"}'])  # fmt: skip
def test_wrong_bodies(client, body):
    reply = client.post(f"/{TOKEN}/answer", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422) and set(reply.json()) == {"problem", "where", "fix"}


def test_large_bodies_are_refused_while_they_arrive(client):
    def pieces():
        for _ in range(100):
            yield b"x" * 10_000

    reply = client.post(f"/{TOKEN}/next", content=pieces(), headers={"Content-Type": "application/json"})
    assert reply.status_code == 413


def test_wrong_labels_get_problem_where_fix(client, session):
    reply = post(
        client, "answer", text=session.pool.rows[0].text, kind="label", label="shipz", token="t" * 16
    )
    assert reply.status_code == 422 and reply.json()["fix"] == "Did you mean 'ships'?"


def test_the_page_is_whole_and_nothing_of_the_data_is_code(tmp_path):
    evil = "</script><script>alert(1)</script>{{script}}"
    extra = ""
    with session_in(tmp_path, extra=extra) as session:
        session.pool.labels[evil] = evil  # type: ignore[index]
        page, headers = app.render_labelling_page(session, "zh", evil, evil)
    assert "alert(1)</script>" not in page and page.count("<script") == 2
    assert 'lang="zh-CN"' in page and not re.search(r'(src|href)="', page)
    assert "'unsafe-inline'" not in headers["Content-Security-Policy"]
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.S)[1])
    assert facts["title"] == evil and evil in [label["name"] for label in facts["labels"]]


def test_the_script_says_only_words_it_is_given():
    folder = ROOT / "src" / "rung" / "annotation"
    script = (folder / "page.js").read_text() + (folder / "page.html").read_text()
    used = set(re.findall(r'(?:say\(|data-say=)"(\w+)"', script))
    for pair in re.findall(r'say\([^")]+ \? "(\w+)" : "(\w+)"', script):
        used |= set(pair)
    assert len(used) > 20
    assert {f"label.{word}" for word in used} <= set(PAGE_MESSAGES)
    for lang in LANGUAGES:
        assert set(PAGE_MESSAGES) <= set(catalogue(lang))


def test_an_answer_never_waits_for_a_fit(tmp_path, monkeypatch):
    from rung.annotation import active_learner

    real = active_learner.fit_classifier
    monkeypatch.setattr(active_learner, "fit_classifier", lambda *a: (time.sleep(0.5), real(*a))[1])
    with session_in(tmp_path, background=True) as session:
        begun = time.monotonic()
        label_rows(session, "Ana", 30)
        assert time.monotonic() - begun < 3.0  # thirty fits would take fifteen seconds
        assert session.strategy.wait(30) and session.strategy.state.n_labels == 24
