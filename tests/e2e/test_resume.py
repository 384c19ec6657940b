"""Killed anywhere, the same command goes on after the last whole step and ends with the same result."""

import json
import os
import signal
import subprocess
import sys

import pytest

import rung
from rung.core.errors import RunError
from rung.core.run import Run, choose_folder
from support import start_cli, write_csv, write_spec

STABLE = ("bar", "cleared", "winner", "certificate", "data", "details", "advice")


def outcome(report):
    trials = [
        {k: t[k] for k in ("rung", "status", "scores", "interval", "predicted_bounds", "chosen")}
        for t in report["trials"]
    ]
    return json.loads(json.dumps([{key: report[key] for key in STABLE}, trials]))


# The build kills itself when this event is written: between and inside every step.
KILLER = """
import os, signal, sys
import rung
# A shell's background job inherits SIGINT as ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
count = 0
def listener(kind, facts):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), getattr(signal, sys.argv[3]))
done = rung.build(sys.argv[1], run="run", on_event=listener)
"""


@pytest.mark.parametrize(
    "at,signal_name",
    [
        *((at, "SIGKILL") for at in (3, 10, 14, 17)),
        (14, "SIGINT"),
        *(pytest.param(at, "SIGKILL", marks=pytest.mark.slow) for at in (2, 6, 13, 15, 16)),
        *(pytest.param(at, "SIGINT", marks=pytest.mark.slow) for at in (8, 17)),
    ],
)
def test_resume_after_a_kill(at, signal_name, news_csv, built, tmp_path):
    write_spec(tmp_path, news_csv)
    code = [sys.executable, "-c", KILLER, "product.yaml", str(at), signal_name]
    killed = subprocess.run(code, cwd=tmp_path, capture_output=True, text=True, env=os.environ, check=False)
    assert killed.returncode in (-signal.SIGKILL, -signal.SIGINT, 130, 1), killed.stderr
    assert not (tmp_path / "run" / "report.json").exists()
    again = start_cli("build", "product.yaml", "--run", "run", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert outcome(json.loads(again.stdout)["report"]) == outcome(built.report)
    assert len(json.loads((tmp_path / "certificate.lock").read_text())["looks"]) == 1
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    kept = [e["name"] for e in events if e["event"] == "step" and e["state"] == "kept"]
    assert kept or at <= 3
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_an_unfinished_run_is_found_without_naming_it(news_csv, tmp_path):
    write_spec(tmp_path, news_csv)
    code = [sys.executable, "-c", KILLER.replace(', run="run"', ""), "product.yaml", "8", "SIGKILL"]
    subprocess.run(code, cwd=tmp_path, capture_output=True, check=False)
    done = rung.build(tmp_path / "product.yaml")
    assert done.folder.name == "desk-001" and done.cleared
    assert rung.build(tmp_path / "product.yaml").folder.name == "desk-002"


def test_a_run_folder_of_another_product_or_other_data_is_refused(news_csv, news_rows, tmp_path, built):
    spec = write_spec(tmp_path, news_csv)
    spec.write_text(spec.read_text().replace("name: desk", "name: other"))
    with pytest.raises(RunError, match="a run of the product 'desk', not of 'other'"):
        rung.build(spec, run=built.folder)
    spec.write_text(spec.read_text().replace("name: other", "name: desk").replace("0.7", "0.71"))
    with pytest.raises(RunError, match="begun with a different product.yaml or different data"):
        rung.build(spec, run=built.folder)
    data = write_csv(tmp_path / "more.csv", ["text", "label"], [*news_rows, ("one more", "tech")])
    with pytest.raises(RunError, match="different product.yaml or different data"):
        rung.build(write_spec(tmp_path, data), run=built.folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="not a run folder and not empty"):
        rung.build(spec, run=tmp_path / "full")
    assert (tmp_path / "full" / "thesis.tex").read_text() == "precious"


def test_two_builds_in_one_folder_are_refused(news_csv, tmp_path):
    spec = write_spec(tmp_path, news_csv)
    done = rung.build(spec, run=tmp_path / "run")
    with Run(done.folder).building(), pytest.raises(RunError, match="another build is writing here"):
        rung.build(spec, run=tmp_path / "run")
    # The lock goes with the process that held it; the file that stays behind holds nothing.
    assert rung.build(spec, run=tmp_path / "run").cleared


def test_a_kill_before_the_run_has_its_name_is_no_obstacle(news_csv, tmp_path):
    spec = write_spec(tmp_path, news_csv)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "product.yaml").write_text("half")
    (tmp_path / "run" / "run.json.tmp").write_text("{")
    assert rung.build(spec, run=tmp_path / "run").cleared


def test_runs_are_numbered_by_product(tmp_path):
    for name in ("news-001", "news-100-001", "news-002-backup", "news-1000"):
        (tmp_path / name).mkdir()
    assert choose_folder(tmp_path, "news", "x").name == "news-1001"
    assert choose_folder(tmp_path, "news-100", "x").name == "news-100-002"


def test_disk_full_while_packing_loses_nothing(news_csv, built, tmp_path, monkeypatch):
    import errno

    import safetensors.numpy

    spec = write_spec(tmp_path, news_csv)
    real = safetensors.numpy.save_file

    def full(tensors, path, *args, **kwargs):
        if "reference" in str(path):  # Written once, before any rung is tried.
            return real(tensors, path, *args, **kwargs)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(RunError) as caught:
        rung.build(spec, run=tmp_path / "run")
    assert caught.value.problem == "the disk is full" and "goes on where it stopped" in caught.value.fix
    assert (tmp_path / "run" / "trials" / "majority").is_dir() and not (
        tmp_path / "run" / "trials" / "tfidf_linear"
    ).exists()
    monkeypatch.setattr(safetensors.numpy, "save_file", real)
    assert outcome(rung.build(spec, run=tmp_path / "run").report) == outcome(built.report)
