"""A challenger in shadow: it answers what the champion answered; killed, stopped or wrong, it takes nothing from anybody."""

import json
import os
import shutil
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

import rung
from rung.core.errors import RungError
from rung.core.spec.improve import ShadowSpec
from rung.core.spec.product import load_product
from rung.journal.data_subjects import export_subject
from rung.journal.records import PredictionRecord, ShadowRecord, new_id
from rung.journal.schema import SHADOWS
from rung.journal.writer import Journal
from rung.serving import promotion
from rung.serving.http.app import create_app
from rung.serving.http.request_body import RequestBody
from rung.serving.model_registry import LoadedModel
from rung.serving.service import Service
from rung.serving.shadow import ShadowProcess, ShadowRunner
from rung.serving.shadow_results import read_results
from rung.serving.shadow_state import NAME, read_shadows
from rung.serving.shadow_worker import compare_answers
from rung.workflows.shadow import REJECT, SERVE, WAIT, apply_verdict, shadow_status
from support import run_cli, write_spec

TEXTS = [
    "a goal in the last minute",
    "shares fell on Friday",
    "the minister resigned",
    "a new phone",
    "the film won",
]


def begin(folder, built, other, **terms):
    terms = promotion.ShadowTerms(ShadowSpec(**terms), "ann", "it passed")
    return promotion.begin_shadow(folder, "desk", other.bundle, built.bundle, terms)


def wait_until(holds, most=240.0):
    until = time.monotonic() + most
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def count(journal):
    return journal.read(lambda connection: connection.scalar(select(func.count()).select_from(SHADOWS)))


@pytest.fixture
def shop(built, tmp_path):
    """A server that watches its folder, in this process: its client, journal, metrics and folder."""
    journal = Journal(tmp_path / "service", "plain")
    service = Service(journal=journal, folder=tmp_path / "service", watch=True)
    with TestClient(create_app([rung.load(built.bundle)], service=service)) as client:
        yield SimpleNamespace(client=client, journal=journal, service=service, folder=tmp_path / "service")


def ask(shop, texts, subject=None):
    body = {"inputs": [{"text": text} for text in texts]} | ({"subject": subject} if subject else {})
    reply = shop.client.post("/v1/models/desk/predict", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()["predictions"]


def shadowed_ids(journal):
    return journal.read(lambda connection: list(connection.scalars(select(SHADOWS.c.prediction))))


def test_it_answers_what_was_answered(shop, built, other):
    ask(shop, TEXTS)
    begin(shop.folder, built, other, waiting=10_000)
    # Servers follow within a second: what is asked until then is not shown to it.
    wait_until(lambda: ask(shop, TEXTS[:1], "Mary") and count(shop.journal))
    rows = {}
    for nth in range(20):
        asked = [f"{text} {nth}" for text in TEXTS]
        answered = ask(shop, [*asked, " "])
        rows |= {row["id"]: text for row, text in zip(answered, asked, strict=False)}
    wait_until(lambda: rows.keys() <= set(shadowed_ids(shop.journal)))
    asked = [rows.get(id, TEXTS[0]) for id in shadowed_ids(shop.journal)]
    found = read_results(shop.journal, read_shadows(shop.folder)["desk"])
    own, his = rung.load(other.bundle).predict(asked), rung.load(built.bundle).predict(asked)
    alike = np.mean([a.value == b.value for a, b in zip(own, his, strict=True)])
    assert found.agreement == pytest.approx(alike, abs=1e-5)
    assert found.rows == len(asked) and not found.errors and not found.skipped
    assert (
        found.compute_ms_p95 >= found.compute_ms_p50 > 0 and found.usd_per_1k > 0 < found.champion_usd_per_1k
    )
    version = rung.load(other.bundle).manifest.version
    text = shop.client.get("/metrics").text
    assert f'rung_shadow_rows_total{{model="desk",version="{version}",outcome="same"}}' in text
    assert f'rung_shadow_seconds_count{{model="desk",version="{version}"}}' in text
    shown = export_subject(shop.journal, "Mary")["predictions"][-1]["shadows"]
    assert [(item["version"], set(item["output"])) for item in shown] == [
        (version, {"label", "probability", "answered_by"})
    ]
    promotion.promote(shop.folder, "desk", other.bundle, built.bundle, "ann", "")
    assert read_shadows(shop.folder) == {}


@pytest.mark.skipif(os.name == "nt", reason="stops a process by signal")
def test_one_that_hangs_takes_nothing_from_answers(shop, built, other, monkeypatch):
    started = []
    plain = ShadowProcess.__init__
    monkeypatch.setattr(
        ShadowProcess, "__init__", lambda self, *given: (plain(self, *given), started.append(self))[0]
    )
    begin(shop.folder, built, other, waiting=3)
    wait_until(lambda: ask(shop, TEXTS[:1]) and count(shop.journal))
    os.kill(started[0].pid, signal.SIGSTOP)
    wait_until(lambda: ask(shop, TEXTS[:1]) and shop.service.metrics.shadow_skipped._values)
    answered = [ask(shop, [text]) for text in TEXTS * 10]
    assert all(row["label"] for (row,) in answered), "it hangs for good, and every answer came"
    seen = count(shop.journal)
    os.kill(started[0].pid, signal.SIGCONT)
    wait_until(lambda: ask(shop, TEXTS[:1]) and count(shop.journal) > seen + 4)
    assert read_results(shop.journal, read_shadows(shop.folder)["desk"]).skipped > 0


@pytest.mark.skipif(os.name == "nt", reason="kills a process by signal")
def test_one_that_crashes_is_counted_and_given_up(shop, built, other, monkeypatch):
    plain = ShadowProcess.__init__

    def doomed(self, *given):
        plain(self, *given)
        os.kill(self.pid, signal.SIGKILL)

    monkeypatch.setattr(ShadowProcess, "__init__", doomed)
    begin(shop.folder, built, other)
    wait_until(lambda: ask(shop, TEXTS) and count(shop.journal) >= 15)
    for _ in range(5):
        ask(shop, TEXTS)
    assert read_results(shop.journal, read_shadows(shop.folder)["desk"]).errors == {"broke": 15}, (
        "thrice, then no more"
    )


@pytest.mark.skipif(os.name == "nt", reason="stops a process by signal")
def test_a_worker_that_ends_or_takes_too_long(built):
    answer = json.dumps({"predictions": [{"label": "tech", "id": "1"}]}).encode()
    body = RequestBody(json.dumps({"inputs": [{"text": "a"}]}).encode())
    worker = ShadowProcess(str(built.bundle), 10)
    assert [row["error"] for row in worker.ask(body, answer, 60.0)["rows"]] == [""]
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        worker.ask(body, answer, 0.2)
    with pytest.raises(ChildProcessError):
        worker.ask(body, answer, 60.0)
    nothing = ShadowProcess(str(built.folder), 10)
    with pytest.raises(ChildProcessError, match="cannot be loaded"):
        nothing.ask(body, answer, 60.0)
    nothing.close()


def test_rows_it_cannot_answer_are_errors_and_those_of_the_champion_none(built):
    hosted = LoadedModel(rung.load(built.bundle), 10)
    answer = json.dumps(
        {"predictions": [{"label": "tech", "id": "1"}, {"error": "no text"}, {"label": "x", "id": "3"}]}
    )
    said = compare_answers(
        hosted,
        RequestBody(json.dumps({"inputs": [{"text": "a phone"}, {"text": ""}, {"text": " "}]}).encode()),
        answer.encode(),
    )
    assert [(row["id"], row["error"]) for row in said["rows"]] == [("1", ""), ("3", "refused")]
    other = compare_answers(
        hosted,
        RequestBody(b'{"inputs": [{"title": "a"}, {"title": "b"}, {"title": "c"}]}'),
        answer.encode(),
    )
    assert [(row["error"], row["output"], row["same"]) for row in other["rows"]] == [
        ("refused", None, None)
    ] * 2


def test_without_a_shadow_or_beside_another_version_nothing_waits(desk, tmp_path):
    shadows = ShadowRunner(Service(folder=tmp_path))
    shadows.submit(LoadedModel(desk, 10), RequestBody(b"{}"), b"{}")
    assert shadows._bytes == 0 and shadows._queue.empty()


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / NAME).write_text('{"desk": {"bundle": 1}}')
    with pytest.raises(RungError, match="cannot be read") as caught:
        read_shadows(tmp_path)
    assert "shadows.json" in caught.value.where


@pytest.fixture
def stands(built, other, news_csv, tmp_path):
    """Return how a challenger stands after rows of these kinds: (answer, error, milliseconds), and what it is judged by."""
    spec = write_spec(tmp_path, news_csv, extra="limits: {latency_ms: 50}\n")
    product, base = load_product(spec)
    folder = base / product.serve.folder
    begin(folder, built, other, rows=10, agreement=0.5)
    shadow, version = read_shadows(folder)["desk"], rung.load(built.bundle).manifest.version
    journal = Journal(folder, "plain")

    def add(*rows):
        for answer, error, ms in rows:
            id, at = new_id(), time.time()
            his = {"label": "tech", "probability": 0.9}
            served = PredictionRecord(
                id, at, "r", "desk", version, "", "shop", None, {"text": "a"}, his, 1.0, 1e-6
            )
            own = None if error else json.dumps({"label": answer, "probability": 0.8})
            journal.write(served)
            journal.write(ShadowRecord(new_id(), at, id, shadow.version, own, error, ms, 2e-6, 1))
        return shadow_status(what)

    what = SimpleNamespace(product=product, journal=journal, folder=folder, champion=built.bundle)
    yield SimpleNamespace(add=add, what=what, spec=spec, folder=folder, other=other)
    journal.close()


def test_it_waits_and_then_serves(stands):
    found = stands.add(*[("tech", "", 1.0)] * 9)
    assert (
        found.verdict == WAIT
        and found.reasons[0][0] == "shadow_waits"
        and apply_verdict(stands.what, found, "ann", "") is None
    )
    found = stands.add(("sports", "", 1.0))
    assert found.verdict == SERVE and found.facts()["agreement"] == 0.9 and found.facts()["skipped"] == 10
    assert apply_verdict(stands.what, found, "ann", "well").action == "promote"
    assert (
        shadow_status(stands.what) is None
        and promotion.current_champion(stands.spec, stands.folder, stands.spec.parent, "desk")
        == stands.other.bundle.resolve()
    )


@pytest.mark.parametrize(
    "rows,why",
    [
        ([("tech", "broke", 0.0)], "shadow_errors"),
        ([("tech", "", 80.0)] * 10, "shadow_limit"),
        ([("sports", "", 1.0)] * 6 + [("tech", "", 1.0)] * 4, "shadow_agreement"),
    ],
)
def test_what_makes_it_go(stands, rows, why):
    found = stands.add(*rows)
    assert found.verdict == REJECT and [key for key, _ in found.reasons] == [why]
    assert (
        apply_verdict(stands.what, found, "ann", "no").action == "kept" and shadow_status(stands.what) is None
    )


def test_beside_another_champion_it_goes(stands):
    stands.what.champion = stands.other.bundle
    assert shadow_status(stands.what).reasons[0][0] == "shadow_other_champion"


def test_by_command_line(built, other, news_csv, tmp_path):
    write_spec(tmp_path, news_csv)
    shutil.copytree(built.folder, tmp_path / "runs" / "desk-001")
    done = run_cli("promote", other.folder, "--shadow", "--by", "Ann", "--lang", "en", cwd=tmp_path)
    assert done.returncode == 0 and "In shadow" in done.stdout, done.stderr
    done = run_cli("improve", "--end-shadow", "--lang", "zh", cwd=tmp_path)
    assert done.returncode == 0 and "已人工结束" in done.stdout, done.stderr
    assert "No challenger" in run_cli("improve", "--end-shadow", "--lang", "en", cwd=tmp_path).stdout
    told = run_cli("history", "--lang", "en", cwd=tmp_path).stdout
    assert "in shadow:" in told and "ended by hand" not in told and "已人工结束" in told
    done = run_cli("promote", tmp_path / "runs" / "desk-001", "--shadow", cwd=tmp_path)
    assert done.returncode == 2 and "is the champion already" in done.stderr


def test_all_threads_end_with_the_server(built, other, tmp_path):
    journal = Journal(tmp_path, "plain")
    service = Service(journal=journal, folder=tmp_path, watch=True)
    begin(tmp_path, built, other)
    with TestClient(create_app([rung.load(built.bundle)], service=service)) as client:
        shop = SimpleNamespace(client=client, journal=journal)
        wait_until(lambda: ask(shop, TEXTS[:1]) and count(journal))
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("rung-shadow")])
