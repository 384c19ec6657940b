"""Services that charge: asked once a row, priced by what they charge, stopped by the budget, and resumed without paying twice."""

import io
import json
from collections import Counter
from contextlib import redirect_stdout

import pytest
from fastapi.testclient import TestClient

import rung
from rung.cli.leaderboard import print_outcome
from rung.journal.writer import Journal
from rung.serving.http.app import create_app
from rung.serving.service import Service

ROWS = 199


def asked(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def ladder(family, log, **params):
    given = ", ".join(f"{key}: {value}" for key, value in {"log": log, **params}.items())
    return f"[{{model: {family}, params: {{{given}}}}}]"


@pytest.mark.parametrize(
    "family,params",
    [
        ("asked_service", {}),
        ("asked_service", {"few_shot": 3}),
        ("silent_charge", {"planned": 1.0}),
        ("silent_charge", {}),
    ],
)
def test_no_row_is_paid_for_twice(family, params, spec, tmp_path):
    log = tmp_path / "asked.jsonl"
    done = rung.build(spec(ladder(family, log, **params), count=ROWS), run=tmp_path / "run")
    assert done.cleared and done.report["winner"] == family
    calls = Counter(asked(log))
    assert max(calls.values()) == 1 and len(calls) <= ROWS
    data = done.report["data"]
    assert data["train"] * 0.9 < len(calls) - data["certification"] <= data["train"]
    trial = done.report["trials"][-1]
    assert trial["price"]["service"] == pytest.approx(1.0)
    assert trial["usd_per_1k"] == pytest.approx(1.0, abs=0.001)
    assert trial["calls"] == len(calls) and trial["spent_usd"] == pytest.approx(len(calls) / 1_000)
    assert done.report["spent"] == {"usd": trial["spent_usd"], "calls": trial["calls"]}
    assert done.report["study"]["curve"] == {"skipped": "paid"} and not done.report["study"]["why"]
    assert trial["latency_ms"]["p50"] < 100 and trial["throughput_per_s"] > 0
    kept = (done.folder / "services" / f"{family}-training.jsonl").read_text()
    assert "ticket" not in kept, "a row is told by its hash"
    assert not (done.folder / "services" / f"{family}-certification.jsonl").exists()


def test_limits_hold_against_what_a_service_charges(spec, tmp_path):
    path = spec(ladder("asked_service", tmp_path / "log"), "limits: {usd_per_1k: 0.5}\n", count=ROWS)
    done = rung.build(path, run=tmp_path / "run")
    assert not done.cleared and done.report["trials"][-1]["status"] == "over limit"


def test_the_budget_stops_before_the_next_call_and_what_was_paid_for_is_kept(spec, tmp_path):
    log = tmp_path / "asked.jsonl"
    rungs = ladder("asked_service", log)
    done = rung.build(spec(rungs, "budget: {usd: 0.05}\n", count=ROWS), run=tmp_path / "run")
    assert len(asked(log)) == 50 and not done.cleared
    failed = done.report["trials"][-1]
    assert failed["status"] == "failed" and "budget of 0.05 USD" in failed["problem"]
    assert (failed["calls"], failed["spent_usd"]) == (50, 0.05)
    spent = json.loads((done.folder / "spent.json").read_text())
    assert spent == {"asked_service": {"usd": 0.05, "calls": 50}}
    again = rung.build(spec(rungs, "budget: {usd: 1.0}\n", count=ROWS), run=tmp_path / "run")
    calls = Counter(asked(log))
    assert again.cleared and max(calls.values()) == 1 and len(calls) <= ROWS


def test_a_rung_that_is_planned_to_cost_more_than_is_left_is_not_begun(spec, tmp_path):
    log = tmp_path / "asked.jsonl"
    path = spec(ladder("asked_service", log, planned=1.0), "budget: {usd: 0.05}\n", count=ROWS)
    done = rung.build(path, run=tmp_path / "run")
    failed = done.report["trials"][-1]
    assert failed["status"] == "failed" and "budget" in failed["problem"] and not asked(log)


def test_certification_is_not_begun_without_the_money_for_it(spec, tmp_path):
    log = tmp_path / "asked.jsonl"
    path = spec(ladder("asked_service", log), "budget: {usd: 0.15}\n", count=ROWS)
    done = rung.build(path, run=tmp_path / "run")
    assert done.report["trials"][-1]["status"] == "failed" and len(asked(log)) <= 150
    assert json.loads((tmp_path / "certificate.lock").read_text())["looks"] == [], "no look was spent"


def test_the_report_says_what_was_spent_and_the_journal_what_each_answer_cost(spec, tmp_path):
    done = rung.build(spec(ladder("asked_service", tmp_path / "log"), count=ROWS), run=tmp_path / "run")
    page = (done.folder / "report.html").read_text()
    assert "services $1,000" in page
    terminal = io.StringIO()
    with redirect_stdout(terminal):
        print_outcome(done.report, done.folder, done.bundle, "en")
    assert f"answered {done.report['spent']['calls']} rows and charged" in terminal.getvalue()
    model, journal = rung.load(done.bundle), Journal(tmp_path / "service")
    service = Service(journal=journal, folder=tmp_path / "service")
    with TestClient(create_app([model], service=service)) as client:
        rows = [{"text": "about ships"}, {"text": ""}, {"text": "about trees"}]
        reply = client.post(model.manifest.endpoint, json={"inputs": rows}).json()["predictions"]
        assert "error" in reply[1] and "cost" not in reply[0]
        for answer in (reply[0], reply[2]):
            found = client.get(f"/v1/predictions/{answer['id']}").json()
            assert 0.001 < found["price_usd"] < 0.002
    journal.close()
