"""A build written to MLflow and TensorBoard, read back through their own readers; what fails there loses nothing.

Needs `pip install 'rung[track]' tensorboard`, which `make` installs; without them these tests are skipped.
"""

import json
import shutil
from pathlib import Path

import pytest
from mlflow_service import mlflow_service

import rung
from rung.core.errors import MissingExtra, RungError
from rung.tracking.facts import training_points
from rung.tracking.follow import TrackingListener
from rung.tracking.tensorboard_events import TensorboardTracker
from support import run_cli, write_spec

WHY = "needs {}: pip install 'rung[track]' tensorboard"


@pytest.fixture(scope="module")
def mlflow():
    pytest.importorskip("mlflow", reason=WHY.format("mlflow"))
    import mlflow

    return mlflow


@pytest.fixture
def spec(tmp_path, news_csv):
    """A product of the small news table that no build has seen."""
    return write_spec(tmp_path, news_csv)


@pytest.fixture(scope="module")
def finished(built, tmp_path_factory):
    """Return a function that builds the finished run of the suite again: every step is kept, all is told again."""

    def again(**options):
        folder = tmp_path_factory.mktemp("again")
        shutil.copytree(built.folder.parent, folder / "product")
        return rung.build(
            folder / "product" / "product.yaml", run=folder / "product" / built.folder.name, **options
        )

    return again


def by_name(client, product="desk"):
    found = client.search_runs([client.get_experiment_by_name(product).experiment_id])
    return {run.info.run_name: run for run in found}


@pytest.mark.parametrize("store", ["sqlite:///{}/mlflow.db", "file:{}/mlruns"])
def test_mlflow_holds_what_the_report_says(mlflow, finished, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = store.format(tmp_path)
    if uri.startswith("sqlite"):
        pytest.importorskip("alembic", reason=WHY.format("alembic"))
    done = finished(track=[f"mlflow:{uri}"])
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.tracking.MlflowClient(uri)
    runs = by_name(client)
    report = done.report
    assert set(runs) == {done.folder.name, "majority", "tfidf_linear"}
    parent = runs[done.folder.name]
    assert all(run.info.status == "FINISHED" for run in runs.values())
    assert parent.data.params["task"] == "text_classification"
    assert parent.data.params["bar.0.at_least"] == "0.7"
    assert parent.data.tags["rung.winner"] == "tfidf_linear" and parent.data.tags["rung.cleared"] == "true"
    assert parent.data.tags["mlflow.note.content"] == report["certificate"]["claim"]
    assert parent.data.metrics["certified_bound"] == report["certificate"]["bound"]
    for place, trial in enumerate(report["trials"]):
        run = runs[trial["rung"]]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["rung.status"] == trial["status"]
        assert run.data.params["model"] == trial["model"]
        for name, score in trial["scores"].items():
            assert run.data.metrics[name] == score
            steps = {m.step: m.value for m in client.get_metric_history(parent.info.run_id, f"ladder/{name}")}
            assert steps[place] == score
        assert run.data.metrics["usd_per_1k"] == trial["usd_per_1k"]
        assert run.data.metrics["latency_p50_ms"] == trial["latency_ms"]["p50"]
    curve = client.get_metric_history(parent.info.run_id, "learning_curve/accuracy")
    assert {m.step: m.value for m in curve} == {
        p["rows"]: p["score"] for p in report["study"]["curve"]["points"]
    }
    for name in ("report.html", "report.json", "bundle/manifest.json", "bundle/card.md"):
        copy = Path(client.download_artifacts(parent.info.run_id, name, str(tmp_path)))
        assert copy.read_bytes() == (done.folder / name).read_bytes()


def test_a_build_that_goes_on_writes_to_the_runs_it_had(mlflow, spec, tmp_path, monkeypatch):
    """Killed in the middle: the run says so; the same build again finishes it, and no second one appears."""
    uri = f"file:{tmp_path / 'mlruns'}"

    def stop(kind, facts):
        if kind == "trial" and facts["rung"] == "tfidf_linear":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rung.build(spec, on_event=stop, track=[f"mlflow:{uri}"])
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.tracking.MlflowClient(uri)
    before = by_name(client)
    assert before["desk-001"].info.status == "KILLED" and before["majority"].info.status == "FINISHED"
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    done = rung.build(spec, track=[f"mlflow:{uri}"])
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    after = by_name(client)
    assert set(after) == {"desk-001", "majority", "tfidf_linear"} and done.folder.name == "desk-001"
    assert {name: run.info.run_id for name, run in before.items()}.items() <= {
        name: run.info.run_id for name, run in after.items()
    }.items()
    assert all(run.info.status == "FINISHED" for run in after.values())


def test_a_build_that_fails_says_so(mlflow, spec, tmp_path, monkeypatch):
    uri = f"file:{tmp_path / 'mlruns'}"
    spec.write_text(spec.read_text().replace("target: label", "target: nothing"))
    with pytest.raises(RungError):
        rung.build(spec, run=tmp_path / "run", track=[f"mlflow:{uri}"])
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    runs = by_name(mlflow.tracking.MlflowClient(uri)) if (tmp_path / "mlruns").exists() else {}
    assert all(run.info.status == "FAILED" for run in runs.values())


def test_over_http_with_a_password_that_nobody_sees(mlflow, finished, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_SECRET", "s3cret/1")
    told = []
    with mlflow_service() as (host, kept):
        done = finished(
            track=[f"mlflow:http://me:${{MLFLOW_SECRET}}@{host}"],
            on_event=lambda kind, facts: told.append((kind, facts)),
        )
    names = {run["name"]: run for run in kept.runs.values()}
    assert set(names) == {done.folder.name, "majority", "tfidf_linear"}
    assert names[done.folder.name]["status"] == "FINISHED"
    assert names["majority"]["metrics"]["accuracy"] == {0: done.report["trials"][0]["scores"]["accuracy"]}
    assert any(path.endswith("/report.html") for path in kept.files)
    assert any(path.endswith("/bundle/manifest.json") for path in kept.files)
    assert all(login and login.startswith("Basic ") for login in kept.logins)
    assert ("tracking", {"where": f"mlflow:http://***@{host}", "state": "done", "problem": ""}) in told
    written = "".join(p.read_text("utf-8", "replace") for p in done.folder.rglob("*") if p.is_file())
    assert capsys.readouterr().out == ""
    assert "s3cret" not in written + str(told) + str(kept.files) + str(kept.runs)


def test_a_server_that_fails_loses_nothing_and_is_told(mlflow, finished):
    told = []
    with mlflow_service() as (host, kept):

        def listen(kind, facts):
            if kind == "tracking":
                told.append(facts)
            # It is away from the first rung on, and back before the end.
            kept.away = kind == "trial" and facts["rung"] == "majority" or (kept.away and kind != "done")

        done = finished(track=[f"mlflow:http://{host}"], on_event=listen)
    assert done.cleared and (done.folder / "report.html").is_file()
    assert [facts["state"] for facts in told] == ["failed", "done"]
    assert "the disk is full" in told[0]["problem"]
    assert {run["name"] for run in kept.runs.values()} == {done.folder.name, "majority", "tfidf_linear"}
    assert all(run["status"] == "FINISHED" for run in kept.runs.values())


def test_nobody_answers(mlflow, finished):
    with pytest.warns(
        RuntimeWarning, match="not written to mlflow:http://.*@127.0.0.1:9: the server cannot"
    ) as seen:
        done = finished(track=["mlflow:http://me:pw@127.0.0.1:9"])
    assert done.cleared and "pw@" not in str(seen[0].message)


def test_the_command_line_warns_even_where_it_is_quiet(mlflow, spec, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, where a folder must be")
    track = ["--track", f"tensorboard:{blocked}", "--track", f"tensorboard:{tmp_path / 'events'}"]
    done = run_cli("build", spec, "--json", *track, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"]["cleared"]
    assert done.stderr.count("Not written to tensorboard:") == 1 and "Traceback" not in done.stderr
    assert list((tmp_path / "events").rglob("events.out.tfevents.*"))


def test_tensorboard_reads_the_curves(finished, tmp_path):
    pytest.importorskip("tensorboardX", reason=WHY.format("tensorboardX"))
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason=WHY.format("tensorboard")
    )
    done = finished(track=[f"tensorboard:{tmp_path / 'events'}"])
    folder = tmp_path / "events" / done.folder.name

    def scalars(name, tag):
        events = reader.EventAccumulator(str(folder / name))
        events.Reload()
        return {event.step: event.value for event in events.Scalars(tag)}

    trials = done.report["trials"]
    for tag, key in (("score/accuracy", "accuracy"), ("score/log_loss", "log_loss")):
        wanted = {place: pytest.approx(trial["scores"][key]) for place, trial in enumerate(trials)}
        assert scalars("ladder", tag) == wanted
    prices = {place: pytest.approx(trial["usd_per_1k"]) for place, trial in enumerate(trials)}
    assert scalars("ladder", "cost/usd_per_1k") == prices
    assert scalars("tfidf_linear", "score/accuracy") == {1: pytest.approx(trials[1]["scores"]["accuracy"])}
    points = done.report["study"]["curve"]["points"]
    assert scalars("learning_curve", "score/accuracy") == {
        p["rows"]: pytest.approx(p["score"]) for p in points
    }


def test_training_is_written_by_epoch(built, tmp_path):
    pytest.importorskip("tensorboardX", reason=WHY.format("tensorboardX"))
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason=WHY.format("tensorboard")
    )
    trial = built.report["trials"][1] | {"training": {"loss": [1.5, 0.5, 0.25], "score": [0.5, 0.75, 0.7]}}
    tracker = TensorboardTracker(str(tmp_path))
    tracker.trial(trial, 1)
    tracker.close("done")
    events = reader.EventAccumulator(str(tmp_path / trial["rung"]))
    events.Reload()
    assert {e.step: e.value for e in events.Scalars("training/loss")} == {1: 1.5, 2: 0.5, 3: 0.25}
    assert {e.step: e.value for e in events.Scalars("training/score")} == {
        1: 0.5,
        2: 0.75,
        3: pytest.approx(0.7),
    }
    assert training_points(built.report["trials"][0]) == []


@pytest.mark.parametrize(
    "where,said",
    [
        ("mlfow:sqlite:///x.db", "'mlfow:sqlite:///x.db' is no place to track a build"),
        ("mlfow:sqlite:///x.db", "Did you mean 'mlflow'?"),
        ("http://me:pw@host:5000", "'http://***@host:5000' is no place"),
        ("mlfow:http://me:pw@host", "'mlfow:http://***@host' is no place"),
        ("mlflow", "'mlflow' is no place to track a build"),
        ("mlflow:mlruns", "'mlruns' is not the address of an MLflow store"),
    ],
)
def test_a_wrong_place_is_refused_before_anything_is_built(where, said, spec, tmp_path):
    with pytest.raises(RungError) as caught:
        rung.build(spec, track=[where])
    assert said in str(caught.value) and "pw" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "where,package",
    [("mlflow:file:./x", "mlflow"), ("mlflow:sqlite:///x.db", "alembic"), ("tensorboard:x", "tensorboardX")],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(where, package, monkeypatch):
    import rung.tracking.mlflow_runs as runs
    import rung.tracking.tensorboard_events as events

    for module in (runs, events):
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingExtra) as caught:
        TrackingListener([where])
    assert f"needs the package '{package}'" in str(caught.value)
    assert caught.value.fix == "In rung's source folder: pip install -e '.[track]'"
