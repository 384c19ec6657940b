"""What people and programs are told of drift: the terminal, JSON, the page, the webhook; in both languages."""

import http.server
import json
import threading

import pytest

from rung.core.errors import RungError, SpecError
from rung.core.messages import LANGUAGES
from rung.core.spec.drift import DriftSpec
from rung.core.spec.product import parse_product
from rung.journal.writer import Journal
from rung.monitoring.webhook import post_json
from rung.pages.drift import render
from rung.workflows.monitor import check_drift
from served_rows import write_rows
from support import run_cli, write_spec

SECRET = "T0KEN-8f3a"


@pytest.fixture
def service():
    """A service that takes webhooks: what it got, and the codes it answers with, in turn."""
    got, codes = [], []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, json.loads(body), body.decode()))
            code = codes.pop(0) if codes else 204
            self.send_response(code)
            if code == 302:
                self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hooks/{SECRET}", got, codes
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def product(built, news_csv, tmp_path):
    """A product whose champion is the small build, and its journal of plain inputs."""

    def make(extra=""):
        path = write_spec(tmp_path, news_csv, extra=extra)
        (tmp_path / "service").mkdir(exist_ok=True)
        champions = {"desk": str(built.bundle)}
        (tmp_path / "service" / "champions.json").write_text(json.dumps(champions))
        return path

    return make


def serve_rows(tmp_path, built, rows):
    journal = Journal(tmp_path / "service", "plain")
    made = write_rows(journal, built, rows)
    journal.close()
    return made


def test_the_command_says_quiet_then_drift_and_takes_an_acknowledgement(built, product, tmp_path, fresh_rows):
    spec = product()
    serve_rows(
        tmp_path, built, [text for texts in zip(*fresh_rows.values(), strict=False) for text in texts][:150]
    )
    done = run_cli("drift", spec, "--lang", "en")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No drift found in 150 rows.") and "at most 1%" in done.stdout
    quiet = run_cli("improve", spec, "--if-drift", "--lang", "en")
    assert quiet.returncode == 0 and quiet.stdout == "No drift found in 150 rows: nothing to do yet.\n"
    serve_rows(tmp_path, built, fresh_rows["sports"])
    done = run_cli("drift", spec, "--html", tmp_path / "drift.html", "--lang", "zh")
    assert (
        done.returncode == 3
        and done.stdout.startswith("发现漂移：")
        and "误报的概率都不超过 1%" in done.stdout
    )
    assert (tmp_path / "drift.html").read_text(encoding="utf-8").count("<svg") >= 3
    report = json.loads(run_cli("drift", spec, "--json").stdout)
    assert report["drifted"] and {a["key"] for a in report["alarms"]} >= {"share:sports"}
    begun = run_cli("improve", spec, "--if-drift", "--lang", "en")
    assert begun.returncode == 0 and "audit: 0 of" in begun.stdout, begun.stderr
    done = run_cli("drift", spec, "--acknowledge", "ann", "--lang", "en")
    assert done.returncode == 0 and "Period 1 was acknowledged by ann and has ended." in done.stdout
    done = run_cli("drift", spec, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["ended"][0]["acknowledged_by"] == "ann"


def test_an_alarm_is_told_once_and_names_no_input(built, product, tmp_path, fresh_rows, service, monkeypatch):
    address, got, codes = service
    monkeypatch.setenv("HOOK", address)
    spec = product('drift: {webhook: "env:HOOK", false_alarms: 0.001, seconds: 5}\n')
    rows = fresh_rows["sports"]
    serve_rows(tmp_path, built, rows)
    codes += [503, 200]
    found = check_drift(spec)
    assert found.report["drifted"] and found.send_problem == ""
    # Tried again after 503; told once.
    assert len(got) == 2 and got[0][2] == got[1][2] and got[0][0].endswith(SECRET)
    body = got[1][1]
    assert body["event"] == "drift" and body["false_alarms"] == 0.001 and body["model"] == "desk"
    assert {"key", "kind", "rows", "at"} == set(body["alarms"][0])
    assert not any(text[:20] in got[1][2] for text in rows)
    assert check_drift(spec).send_problem == "" and len(got) == 2


def test_what_cannot_be_told_is_said_without_the_secret_and_tried_again(
    built, product, tmp_path, fresh_rows, service
):
    address, got, codes = service
    spec = product(f'drift: {{webhook: "{address}"}}\n')
    serve_rows(tmp_path, built, fresh_rows["sports"])
    codes += [404]
    done = run_cli("drift", spec, "--lang", "en")
    assert done.returncode == 3
    assert "The webhook could not be notified: the alarm could not be sent: it answered 404." in done.stderr
    assert SECRET not in done.stdout + done.stderr and len(got) == 1
    assert run_cli("drift", spec, "--json").returncode == 3 and len(got) == 2
    # Neither a run folder nor the state remembers the address.
    assert SECRET not in json.dumps(parse_product(spec.read_text()).shown())
    assert all(SECRET not in path.read_text() for path in (tmp_path / "service").glob("*.json"))


def test_redirects_are_not_followed_and_a_dead_host_ends_soon(service):
    address, got, codes = service
    codes += [302]
    with pytest.raises(RungError, match="it answered 302") as caught:
        post_json(address, {"a": 1}, 2.0)
    assert [path for path, *_ in got] == [f"/hooks/{SECRET}"] and SECRET not in str(caught.value)
    with pytest.raises(RungError, match=r"it cannot be reached \(URLError\)") as caught:
        post_json(f"http://127.0.0.1:1/{SECRET}", {}, 0.5, backoff_seconds=0.01)
    assert SECRET not in str(caught.value)


def test_the_spec_of_a_webhook(monkeypatch):
    base = "task: text_classification\ndata: {path: x.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"
    with pytest.raises(SpecError, match="is not an address: write https://"):
        parse_product(base + "drift: {webhook: ftp://x}\n")
    with pytest.raises(SpecError) as caught:
        parse_product(base + "drift: {false_alarm: 0.1}\nvalue: {per_error: bad}\n")
    assert "Did you mean 'false_alarms'" in str(caught.value) and "value.per_error" in str(caught.value)
    spec = DriftSpec(webhook="env:HOOK")
    with pytest.raises(RungError, match="the variable HOOK holds no address"):
        spec.address()
    monkeypatch.setenv("HOOK", "https://hooks.example/x")
    assert spec.address() == "https://hooks.example/x"
    one, other = (
        parse_product(base + extra) for extra in ("", "drift: {false_alarms: 0.1}\nvalue: {per_correct: 1}\n")
    )
    assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_is_one_file_in_both_languages(lang, built, tmp_path, fresh_rows):
    serve_rows(tmp_path, built, fresh_rows["sports"])
    report = check_drift(built.bundle, tmp_path / "service").report
    page = render(json.loads(json.dumps(report)), lang)
    assert page.startswith("<!doctype html>") and "http" not in page.split("<svg")[0].replace(
        "http-equiv", ""
    )
    assert page.count("<svg") >= 3 and "script-src" not in page
    assert ("What has changed" if lang == "en" else "哪里变了") in page
    assert "share of <code>sports</code>" in page if lang == "en" else "的占比" in page


def test_names_from_data_are_escaped(built, tmp_path, fresh_rows):
    serve_rows(tmp_path, built, fresh_rows["sports"])
    report = check_drift(built.bundle, tmp_path / "service").report
    for test in report["tests"]:
        test["name"] = "<script>alert(1)</script>"
    assert "<script>" not in render(report, "en")
