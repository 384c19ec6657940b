"""From product.yaml to a served, verified bundle, through the command line, as a user goes."""

import csv
import json
import os
import socket
import subprocess
import sys
import urllib.request
from dataclasses import fields

import pytest

import rung
from rung.building.race import Race
from rung.building.report import KEYS
from rung.core.spec.product import load_product
from rung.core.types import Prediction
from rung.data.profile.finding import Finding
from support import run_cli, start_cli, write_csv, write_spec
from waiting import LONG, wait_until


def test_plan_build_show_verify_predict(news_csv, tmp_path):
    planned = start_cli("plan", news_csv, "-o", "product.yaml", cwd=tmp_path)
    assert planned.returncode == 0, planned.stderr
    text = (tmp_path / "product.yaml").read_text()
    assert (
        "task: text_classification" in text
        and "input: text" in text
        and "target: label" in text
        and "#" in text
    )
    (tmp_path / "product.yaml").write_text(
        text.replace("at_least: 0.9 ", "at_least: 0.7 ").replace("effort: 2", "effort: 1")
    )
    # No weights on this machine: only the rungs that need none stand on the ladder.
    bare = {"RUNG_CACHE": str(tmp_path / "cache")}
    built = start_cli("build", "product.yaml", "--json", cwd=tmp_path, env=bare)
    assert built.returncode == 0, built.stderr
    done = json.loads(built.stdout)
    assert done["report"]["cleared"] and done["report"]["winner"] == "tfidf_linear"
    shown = start_cli("show", cwd=tmp_path)
    assert shown.returncode == 0 and "tfidf_linear" in shown.stdout and "report.html" in shown.stdout
    verified = start_cli("verify", done["bundle"], "--json", cwd=tmp_path)
    assert verified.returncode == 0 and json.loads(verified.stdout)["certified"]
    one = start_cli(
        "predict", done["bundle"], "--text", "The striker scored twice in the cup final", cwd=tmp_path
    )
    assert (
        one.returncode == 0
        and one.stdout.startswith("sports")
        and "because of" in one.stdout
        and not one.stderr
    )
    again = start_cli("plan", news_csv, "-o", "product.yaml", cwd=tmp_path)
    assert again.returncode == 2 and "exists already" in again.stderr


def test_report_has_exactly_the_documented_keys(built):
    documented = {key for key, _, _ in KEYS}
    found = set(built.report)
    for section in ("certificate", "data", "study", "spent"):
        found |= {f"{section}.{key}" for key in built.report[section]}
    found |= {f"trials.{key}" for trial in built.report["trials"] for key in trial} - {
        "trials.is_floor", "trials.differing",
    }  # fmt: skip
    # News has nothing to find: the keys of a finding are those of any.
    found |= {f"findings.{key}" for key in Finding("check", "info", 0, 0).as_dict()}
    # Nor is a rung slow enough there to be raced.
    found |= {f"raced_out.{field.name}" for field in fields(Race)} | {"raced_out.model"}
    # And layers are only missing where there is a network.
    found |= {"study.layers_problem", "study.layers_too_many"}
    # A cut in time is looked at where rows are moments of users.
    found |= {"study.time_cut"}
    assert found == documented


def test_report_html_is_whole_and_self_contained(built):
    page = (built.folder / "report.html").read_text()
    assert page.endswith("</body></html>\n") and "clears the bar" in page and "Confusion matrix" in page
    assert "http://" not in page and "https://" not in page and page.count("<script") == 1


def test_the_python_api(built):
    model = rung.load(built.bundle)
    answers = model.predict(
        ["The striker scored twice in the final", {"text": "The bank raised its interest rate"}]
    )
    assert all(isinstance(a, Prediction) for a in answers)
    assert [a.value for a in answers] == ["sports", "business"]
    assert model.predict([]) == []
    with pytest.raises(rung.RungError, match="list of rows"):
        model.predict("one text")
    with pytest.raises(rung.RungError, match="input 'text' is missing"):
        model.predict([{"txt": "a"}])


def test_prediction_file_answers_every_row_in_order(built, tmp_path):
    rows = [["7", "The striker scored", "x"], ["8", "", "y"], ["9", "Shares fell on Wall Street", "z"]]
    source = write_csv(tmp_path / "new.csv", ["ticket", "text", "note"], rows)
    with source.open("a", encoding="utf-8") as file:
        file.write('10,too,many,cells\n11,"Parliament votes on the bill, again",q\n')
    out = tmp_path / "out.csv"
    done = run_cli("predict", built.bundle, "-i", source, "-o", out, "--scores", "--id", "ticket")
    assert done.returncode == 0, done.stderr
    found = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert [row["id"] for row in found] == ["7", "8", "9", "", "11"]
    assert found[0]["label"] == "sports" and found[1]["label"] == "" and "no text" in found[1]["error"]
    assert "malformed" in found[3]["error"] and found[4]["label"] == "politics"
    assert "note" not in found[0] and {
        f"score:{label}" for label in rung.load(built.bundle).schema.labels
    } <= set(found[0])
    assert sum(float(v) for k, v in found[0].items() if k.startswith("score:")) == pytest.approx(1, abs=1e-4)
    kept = tmp_path / "kept.jsonl"
    assert run_cli("predict", built.bundle, "-i", source, "-o", kept, "--keep").returncode == 0
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(lines) == 5 and lines[0]["note"] == "x" and lines[0]["row"] == 1
    wrong = run_cli("predict", built.bundle, "-i", write_csv(tmp_path / "w.csv", ["txt"], [["a"]]), "--json")
    assert (
        wrong.returncode == 2 and "there is no column 'text'" in json.loads(wrong.stdout)["error"]["problem"]
    )


def test_kept_columns_never_give_way_to_ours(built, tmp_path):
    rows = [["The striker scored", "TRUTH", "mine", "r1"]]
    source = write_csv(tmp_path / "new.csv", ["text", "label", "error", "row"], rows)
    out = tmp_path / "out.csv"
    assert run_cli("predict", built.bundle, "-i", source, "-o", out, "--keep").returncode == 0
    (found,) = csv.DictReader(out.read_text(encoding="utf-8").splitlines())
    assert found["label"] == "sports" and found["row"] == "1" and found["error"] == ""
    assert (found["input:label"], found["input:error"], found["input:row"]) == ("TRUTH", "mine", "r1")


def test_mistakes_at_predicting_are_said_in_words(built, tmp_path):
    source = write_csv(tmp_path / "new.csv", ["text"], [["a goal"]])
    before = source.read_bytes()
    for more, words in (
        (["-o", source], "overwrite the input"),
        (["-o", tmp_path / "nowhere" / "o.csv"], "no such folder"),
        (["--encoding", "foo"], "no character encoding 'foo'"),
    ):
        done = run_cli("predict", built.bundle, "-i", source, *more)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    "name,columns",
    [("2024.csv", ["Yes", "Null"]), ("null.csv", ["te\nxt: # x", "on"]), ("正文.csv", ["评论: a", "{标签}"])],
)
def test_what_plan_writes_can_be_read(name, columns, news_rows, tmp_path):
    write_csv(tmp_path / name, columns, news_rows[::10])
    assert run_cli("plan", name, cwd=tmp_path).returncode == 0
    product, _ = load_product(tmp_path / "product.yaml")
    assert (
        product.data.path == name
        and product.data.input == (columns[0],)
        and product.data.target == columns[1]
    )


def test_a_renamed_file_does_not_bring_back_rows_that_trained(news_csv, news_rows, tmp_path):
    """Scores of every row of a build without a certificate may be read: under no name may these rows certify."""
    spec = write_spec(tmp_path, news_csv, extra="certify: {fraction: 0}\n")
    rung.build(spec, run=tmp_path / "first")
    copy = write_csv(tmp_path / "copy.csv", ["text", "label"], news_rows)
    with pytest.raises(rung.RungError, match="certify"):
        rung.build(write_spec(tmp_path, copy), run=tmp_path / "second")
    own = write_spec(tmp_path, news_csv, extra=f"certify: {{path: {copy}}}\n")
    with pytest.raises(rung.RungError, match="certify"):
        rung.build(own, run=tmp_path / "third")


def test_a_busy_port_is_the_users_mistake(built):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = start_cli("serve", built.bundle, "--port", taken.getsockname()[1])
    assert done.returncode == 2 and "cannot listen on this address" in done.stderr


def test_nothing_clears_exits_3_packs_the_best_and_warns(news_csv, tmp_path):
    write_spec(tmp_path, news_csv, bar=0.999)
    done = run_cli("build", "product.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    result = json.loads(done.stdout)
    report = result["report"]
    assert not report["cleared"] and report["certificate"] is None and report["winner"] == "tfidf_linear"
    assert any("No rung clears" in line for line in report["advice"])
    manifest = json.loads((tmp_path / result["bundle"] / "manifest.json").read_text())
    assert manifest["certified"] is False and manifest["certificate"] is None
    lock = tmp_path / "certificate.lock"
    assert json.loads(lock.read_text())["looks"] == [], "a rung not expected to pass must not be looked at"
    warned = run_cli("predict", result["bundle"], "--text", "a match", cwd=tmp_path)
    assert warned.returncode == 0 and "not certified" in warned.stderr
    served = start_cli("serve", result["bundle"], cwd=tmp_path)
    assert served.returncode == 2 and "--uncertified" in served.stderr


def test_no_certificate_asked_for(news_csv, tmp_path):
    write_spec(tmp_path, news_csv, extra="certify: {fraction: 0}\n")
    done = rung.build(tmp_path / "product.yaml")
    assert (
        done.report["data"]["certification"] == 0 and done.report["certificate"] is None and not done.cleared
    )
    assert done.report["winner"] == "tfidf_linear"
    assert run_cli("build", "product.yaml", cwd=tmp_path).returncode == 0


def test_all_rungs_measures_above_the_winner_without_looking(news_csv, tmp_path):
    write_spec(tmp_path, news_csv, bar=0.05)
    done = rung.build(tmp_path / "product.yaml", all_rungs=True)
    assert done.report["winner"] == "majority" and [t["rung"] for t in done.report["trials"]] == [
        "majority",
        "tfidf_linear",
    ]
    assert done.report["trials"][1]["status"] == "not needed"
    assert len(json.loads((tmp_path / "certificate.lock").read_text())["looks"]) == 1
    assert any("baseline" in line for line in done.report["advice"])


def test_a_rebuild_returns_the_same_certificate_without_a_look(news_csv, tmp_path):
    write_spec(tmp_path, news_csv)
    one = rung.build(tmp_path / "product.yaml")
    two = rung.build(tmp_path / "product.yaml")
    assert one.folder != two.folder and one.report["certificate"] == two.report["certificate"]
    assert len(json.loads((tmp_path / "certificate.lock").read_text())["looks"]) == 1


def test_certification_rows_leave_no_trace(built):
    """No text, label count or score of certification rows stands anywhere in the run but in their own table."""
    report = built.report
    assert sum(report["data"]["labels"].values()) == report["data"]["train"]
    assert sum(map(sum, report["details"]["confusion"])) <= report["data"]["train"]
    look = json.loads((built.folder / "looks" / "tfidf_linear" / "done.json").read_text())
    assert set(look) == {"certificate"}
    assert report["certificate"]["bound"] * 200 == pytest.approx(round(report["certificate"]["bound"] * 200))


def test_limits_are_kept(news_csv, tmp_path):
    write_spec(tmp_path, news_csv, extra="limits: {size_mb: 0.05}\n")
    done = rung.build(tmp_path / "product.yaml")
    assert not done.cleared and done.report["trials"][1]["status"] == "over limit"
    assert any("size_mb" in line for line in done.report["advice"])


def test_serve_answers_over_http(built):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "rung.cli", "serve", str(built.bundle), "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:

        def health():
            try:
                return json.load(urllib.request.urlopen(f"{address}/healthz", timeout=LONG))
            except OSError:
                assert server.poll() is None, "the server ended"
                return None  # The server is starting; there is no event to wait for.

        assert wait_until(health, "the server is ready", pause=0.1) == {"status": "ok"}
        body = json.dumps({"inputs": [{"text": "The striker scored twice"}], "explain": True}).encode()
        request = urllib.request.Request(
            f"{address}/v1/models/desk/predict", body, {"Content-Type": "application/json"}
        )
        answer = json.load(urllib.request.urlopen(request, timeout=LONG))
        assert (
            answer["certified"]
            and answer["predictions"][0]["label"] == "sports"
            and answer["predictions"][0]["reasons"]
        )
        assert b"Try the model" in urllib.request.urlopen(address, timeout=LONG).read()
        assert (
            "/v1/models/desk/predict"
            in json.load(urllib.request.urlopen(f"{address}/openapi.json", timeout=LONG))["paths"]
        )
    finally:
        server.terminate()
        server.wait(LONG)
