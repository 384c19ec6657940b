"""Fits as jobs: what a job carries and leaves, progress, cancellation, checkpoints, failures, folds by planned cost."""

import json
import multiprocessing
import pickle
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

import rung
from rung.building.fit import FitJob, fit
from rung.core import device, registry
from rung.core.errors import FitCancelled, MissingExtra, Problem, RungError, SpecError
from rung.core.job_channel import JobChannel, follow
from rung.core.model import FitContext
from rung.core.spec.product import parse_product
from rung.data.prepare.rows import RowsHandle, forget_table
from rung.engines.choose import open_engine
from rung.engines.local import LocalEngine

TABLE = "text,label\n" + "".join(f"text number {i},{'ab'[i % 2]}\n" for i in range(300))


def events_of(folder, kind):
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] == kind]


class PoolEngine:
    """An engine of other processes: what does not pickle, or leans on the parent's memory, fails here."""

    def __init__(self, pool):
        self.pool = pool

    def map(self, fn, jobs, resources):
        yield from self.pool.map(fn, list(jobs))


def test_every_engine_gives_equal_results(spec, tmp_path):
    path = spec("[majority, tfidf_linear]", "budget: {effort: 0, threads: 1}\n")
    one = rung.build(path, run=tmp_path / "one", engine=LocalEngine(), all_rungs=True)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        two = rung.build(path, run=tmp_path / "two", engine=PoolEngine(pool), all_rungs=True)
    shown = ("rung", "status", "scores", "interval", "chosen")
    trials = [[{key: trial[key] for key in shown} for trial in done.report["trials"]] for done in (one, two)]
    assert trials[0] == trials[1] and one.report["certificate"] == two.report["certificate"]
    versions = [json.loads((done.bundle / "manifest.json").read_text())["version"] for done in (one, two)]
    assert versions[0] == versions[1]


def test_a_network_is_fitted_twice_reports_and_leaves_no_scratch(spec, tmp_path):
    log = tmp_path / "steps.jsonl"
    path = spec(f"[{{model: network, params: {{log: {log}, seconds: 0.3}}}}]")
    done = rung.build(path, run=tmp_path / "run")
    assert done.cleared and done.report["winner"] == "network"
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(job, step) for job, step, _ in steps] == [(j, s) for j in ("fold-1", "all") for s in range(4)]
    train = done.report["data"]["train"]
    assert {rows for job, _, rows in steps if job == "all"} == {train - train // 5}
    (ladder,) = events_of(done.folder, "ladder")
    assert {r["rung"]: r["fits"] for r in ladder["rungs"]} == {"majority": 6, "network": 2}
    progress = events_of(done.folder, "progress")
    assert {(e["rung"], e["job"]) for e in progress} == {("network", "fold-1"), ("network", "all")}
    assert progress[-1]["step"] == progress[-1]["total"] == 4 and progress[-1]["metrics"] == {"loss": 0.25}
    assert done.report["study"]["curve"] == {"skipped": "cost"}
    assert not (done.folder / "scratch").exists()


def test_a_killed_fit_goes_on_from_its_checkpoint(spec, tmp_path):
    log = tmp_path / "steps.jsonl"
    path = spec(f"[{{model: network, params: {{log: {log}, die_at: 2}}}}]")
    command = [sys.executable, "-c", f"import rung; rung.build({str(path)!r}, run='run')"]
    for _ in range(2):  # It dies in the fit of the fold, then in that of all rows.
        assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 9
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    steps = [tuple(json.loads(line)[:2]) for line in log.read_text().splitlines()]
    assert steps == [(j, s) for j in ("fold-1", "all") for s in range(4)], "no step is made twice"


def test_a_fit_that_fails_is_left_out_with_its_reason(spec, tmp_path):
    done = rung.build(spec("[failing, network]"), run=tmp_path / "run")
    failed = next(t for t in done.report["trials"] if t["rung"] == "failing")
    assert done.cleared and done.report["winner"] == "network"
    assert failed["status"] == "failed" and "no convergence" in failed["problem"] and failed["scores"] == {}
    (event,) = events_of(done.folder, "failed")
    assert event["rung"] == "failing" and "ValueError: no convergence" in event["traceback"]
    assert "no convergence" in (done.folder / "report.html").read_text()


def test_a_floor_that_fails_ends_the_build(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(registry.model("majority"), "fit", registry.model("failing").fit)
    with pytest.raises(ValueError, match="no convergence"):
        rung.build(spec("[majority]"), run=tmp_path / "run")


def test_the_time_budget_stops_a_running_fit(prepared, tmp_path):
    rows = RowsHandle.of(prepared(TABLE).dataset, "train")
    params = registry.model("network").Params(steps=1_000, seconds=0.05)
    channel = JobChannel(tmp_path / "channel", "all", time.time() + 0.3)
    begun = time.monotonic()
    with pytest.raises(FitCancelled, match="time budget"):
        fit(FitJob("network", params, rows, FitContext(scratch=tmp_path, channel=channel), tmp_path / "fit"))
    assert time.monotonic() - begun < 20 and not (tmp_path / "fit").exists()


def test_a_rung_that_was_stopped_is_left_out(spec, tmp_path, monkeypatch):
    monkeypatch.setattr(JobChannel, "cancelled", lambda channel: channel.deadline < float("inf"))
    done = rung.build(spec("[network]", "budget: {minutes: 10}\n"), run=tmp_path / "run")
    failed = next(t for t in done.report["trials"] if t["rung"] == "network")
    assert failed["status"] == "failed" and "time budget" in failed["problem"]
    assert done.report["winner"] == "majority", "the floor is not stopped"


def test_a_job_pickles_and_loads_its_rows_where_it_runs(prepared, tmp_path):
    made = prepared(TABLE)
    handle = RowsHandle.of(made.dataset, "train")
    assert handle.dataset.facts == {} and len(pickle.dumps(handle.take(range(50)))) < 4_000
    part = pickle.loads(pickle.dumps(handle.take(range(10, 60)).take([3, 1])))  # noqa: S301
    forget_table()
    assert part.load() == made.train.take([13, 11])
    assert handle.load() is handle.load(), "a process reads a table once"
    context = FitContext(scratch=tmp_path, channel=JobChannel(tmp_path, "all"))
    job = FitJob("majority", registry.model("majority").Params(), handle, context, tmp_path / "fit", (0, 5))
    fitted = fit(pickle.loads(pickle.dumps(job)))  # noqa: S301
    assert len(fitted.answers) == 2 and repr(pickle.loads(pickle.dumps(fitted))) == repr(fitted)  # noqa: S301
    model = registry.model("majority").load(fitted.folder, made.dataset.schema)
    assert model.predict(made.train.take([0, 5]).inputs)[0].value == fitted.answers[0].value


def test_a_whole_fit_is_not_made_again_unless_it_is_another(prepared, tmp_path, monkeypatch):
    handle = RowsHandle.of(prepared(TABLE).dataset, "train")
    family, calls = registry.model("majority"), []
    real = family.fit
    monkeypatch.setattr(family, "fit", lambda *given: calls.append(1) or real(*given))
    job = FitJob("majority", family.Params(), handle, FitContext(scratch=tmp_path), tmp_path / "fit", (0,))
    first, again = fit(job), fit(job)
    assert repr(first) == repr(again) and len(calls) == 1
    fit(replace(job, context=FitContext(scratch=tmp_path, seed=1)))
    fit(replace(job, rows=handle.take(range(50))))
    assert len(calls) == 3


def test_what_is_reported_is_told_once_and_an_end_by_error_cancels(tmp_path):
    told = []
    channel = pickle.loads(pickle.dumps(JobChannel(tmp_path, "all")))  # noqa: S301
    channel.report(1, 1, {"old": 1.0})
    with pytest.raises(KeyError), follow(tmp_path, told.append):
        for step in range(1, 1_001):
            channel.report(step, 1_000, {"loss": step})
        assert not channel.cancelled()
        raise KeyError
    assert told[-1] == {"job": "all", "step": 1_000, "total": 1_000, "metrics": {"loss": 1_000.0}}
    assert len(told) < 10, "a thousand steps within a moment are a few reports"
    assert channel.cancelled()
    with follow(tmp_path, told.append):
        assert not channel.cancelled() and JobChannel(tmp_path, "all", time.time() - 1).cancelled()


@pytest.mark.parametrize(
    "error",
    [
        FitCancelled(),
        MissingExtra("fitting", "train", "torch"),
        SpecError([Problem(1, "a", "b")], "c"),
        RungError("p", "w", "f"),
    ],
)
def test_errors_of_fits_come_back_from_other_processes(error):
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is type(error) and again.as_dict() == error.as_dict() and str(again) == str(error)
    assert vars(again) == vars(error)


def test_an_answer_that_varies_passes_the_gate_by_its_scores(spec, tmp_path):
    done = rung.build(spec("[varying]", count=400), run=tmp_path / "run")
    assert done.cleared and done.report["winner"] == "varying"
    assert "answers vary" in done.report["certificate"]["claim"]
    assert rung.load(done.bundle).selftest() == []


def test_an_engine_is_chosen_by_name(spec, tmp_path, monkeypatch):
    with pytest.raises(RungError, match="no engine called 'rey'"):
        open_engine("rey")
    assert isinstance(open_engine("local"), LocalEngine)
    monkeypatch.setattr("rung.engines.ray.importlib.util.find_spec", lambda name: None)
    path = spec("[majority]", "engine: ray\n")
    with pytest.raises(MissingExtra) as caught:
        rung.build(path, run=tmp_path / "run")
    assert (
        caught.value.fix == "In rung's source folder: pip install -e '.[ray]'"
        and not (tmp_path / "run").exists()
    )
    local = parse_product(path.read_text().replace("ray", "local"))
    assert parse_product(path.read_text()).fingerprint() == local.fingerprint(), "a run may go on elsewhere"


def test_workers_give_the_same_models_and_a_failed_fit_its_traceback(spec, tmp_path):
    path = spec("[majority, failing]", "budget: {effort: 0, threads: 1}\n")
    one = rung.build(path, run=tmp_path / "one", all_rungs=True)
    two = rung.build(path, run=tmp_path / "two", workers=2, all_rungs=True)
    shown = [{t["rung"]: (t["status"], t["scores"]) for t in done.report["trials"]} for done in (one, two)]
    assert shown[0] == shown[1] and shown[0]["failing"][0] == "failed"
    assert one.report["certificate"] == two.report["certificate"]
    (event,) = events_of(two.folder, "failed")
    assert event["rung"] == "failing" and "ValueError: no convergence" in event["traceback"]
    assert "job_models" in event["traceback"], "where it was raised in the other process"
    assert not (two.folder / "engine").exists()


def test_rungs_ahead_are_fitted_once_and_give_the_same_trials(spec, tmp_path):
    log = tmp_path / "steps.jsonl"
    ladder = f"[majority, {{model: network, params: {{log: {log}}}}}]"
    path = spec(ladder, "budget: {effort: 0, threads: 1, workers: 2, ahead: 2, race: false}\n")
    done = rung.build(path, run=tmp_path / "run", all_rungs=True)
    assert {e["rung"] for e in events_of(done.folder, "ahead")} == {"network"}
    steps = [tuple(json.loads(line)[:2]) for line in log.read_text().splitlines()]
    assert steps == [(j, s) for j in ("fold-1", "all") for s in range(4)], (
        "the trial takes what was made ahead"
    )
    assert not (done.folder / "scratch").exists() and len(done.report["trials"]) == 2


def test_a_killed_fit_is_begun_again_by_its_worker(spec, tmp_path):
    log = tmp_path / "steps.jsonl"
    path = spec(f"[{{model: network, params: {{log: {log}, die_at: 2}}}}]")
    done = rung.build(path, run=tmp_path / "run", workers=2)
    assert done.cleared and done.report["winner"] == "network"
    steps = [tuple(json.loads(line)[:2]) for line in log.read_text().splitlines()]
    assert steps == [(j, s) for j in ("fold-1", "all") for s in range(4)], "no step is made twice"


def test_a_device_is_the_cpu_unless_torch_finds_another(monkeypatch):
    monkeypatch.setattr(device, "_has_gpu", lambda: True)
    monkeypatch.setattr(device, "_torch_finds_gpu", lambda: False)
    assert (device.resolve_device("auto"), device.resolve_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(RungError, match="finds no GPU") as caught:
        device.resolve_device("cuda")
    assert caught.value.where == "budget.device"
    monkeypatch.setattr(device, "_torch_finds_gpu", lambda: True)
    assert (device.resolve_device("auto"), device.resolve_device("cuda")) == ("cuda", "cuda")
    monkeypatch.setattr(device, "_has_gpu", lambda: False)
    assert device.resolve_device("auto") == "cpu", "without a driver torch is not asked, which takes seconds"
