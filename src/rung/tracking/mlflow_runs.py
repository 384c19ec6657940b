"""Write a build to MLflow with its own client: one run for the build, with a nested run for each rung."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rung.core.errors import MissingExtra, RungError
from rung.core.files import read_json, write_json
from rung.core.spec.source_names import expand_variables, masked
from rung.tracking import facts
from rung.tracking.facts import StartedBuild

# In the run folder: the ids of the build's MLflow runs, so that a build that resumes after a crash continues
# them.
RUN_IDS_FILE = "tracked.json"
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SCHEME = re.compile(r"([A-Za-z][\w.-]*)(?:\+\w+)?:")
# Limits of older servers: characters of a value, values per call.
_MAX_VALUE_CHARS, _MAX_BATCH_VALUES = 500, 100
_STATES = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
# An unreachable server must not delay a build for the client's default of minutes; nothing is sent to third
# parties. Newer clients refuse `file:` unless it is allowed: a user who writes it wants it.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # Standard output is for results.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}


class MlflowTracker:
    """Writes params, metrics, artifacts and tags of a build to the experiment that is named after the
    product.
    """

    def __init__(self, uri: str) -> None:
        scheme = _SCHEME.match(uri)
        if scheme is None and not uri.startswith("${"):
            fix = "Such as file:./mlruns, sqlite:///mlflow.db or http://localhost:5000."
            raise RungError(f"'{masked(uri)}' is not the address of an MLflow store", "--track", fix)
        _require_package("mlflow")
        if scheme and scheme[1] in _DATABASES:
            _require_package("sqlalchemy")
            _require_package("alembic")
        self._uri, self._shown = expand_variables(uri), masked(uri)
        self._client: Any = None
        self._experiment = ""
        self._ids: dict[str, str] = {}
        self._file = Path()
        self._open: dict[str, str] = {}

    def begin(self, build: StartedBuild) -> None:
        """Open the run of this build, or the earlier run of a resumed build, and write the spec as params."""
        with _client_environment():
            from mlflow.tracking import MlflowClient

            self._client = MlflowClient(self._uri)
            found = self._client.get_experiment_by_name(build.product)
            self._experiment = found.experiment_id if found else self._client.create_experiment(build.product)
            self._file = build.folder / RUN_IDS_FILE
            self._ids = _read_run_ids(self._file).get(self._shown, {})
            run = self._run("", build.folder.name, {"mlflow.source.name": "rung build"})
            self._write(run, params=build.params())

    def trial(self, trial: Mapping[str, Any], place: int) -> None:
        """Write a trial as a nested run, training by epoch, and as a step of the ladder in the run of the build."""
        name = str(trial["rung"])
        low, high = trial["interval"] or (None, None)
        with _client_environment():
            run = self._run(name, name, {"mlflow.parentRunId": self._ids[""]})
            bounds = {"interval_low": low, "interval_high": high}
            known = {key: float(value) for key, value in bounds.items() if value is not None}
            figures = facts.scores(trial) | facts.measurements(trial)
            status = {"rung.status": str(trial["status"])}
            self._write(run, params=facts.trial_params(trial), metrics=figures | known, tags=status)
            on_ladder = {f"ladder/{key}": value for key, value in figures.items()}
            self._write(self._ids[""], metrics=on_ladder, step=place)
            for measure, epoch, value in facts.training_points(trial):
                self._write(run, metrics={f"training/{measure}": value}, step=epoch)
            self._end(name, "FINISHED")

    def finish(self, build: StartedBuild) -> None:
        """Write the metrics of the build, the learning curve and the artifacts."""
        report = build.report()
        run = self._ids[""]
        metric, points = facts.learning_curve(report)
        hardware = {f"hardware.{key}": str(value) for key, value in report["hardware"].items()}
        tags = facts.tags(report) | {"mlflow.note.content": facts.summary_text(report)}
        with _client_environment():
            self._write(run, params=hardware, metrics=facts.build_metrics(report), tags=tags)
            for rows, score in points:
                self._write(run, metrics={f"learning_curve/{metric}": score}, step=rows)
            for path, folder in build.artifacts():
                self._client.log_artifact(run, str(path), folder or None)

    def close(self, state: str) -> None:
        """End the runs that are still open: that of an unfinished trial, and that of the build."""
        with _client_environment():
            for name in [*filter(None, self._open), *self._open]:
                self._end(name, _STATES[state])

    def _run(self, key: str, name: str, tags: Mapping[str, str]) -> str:
        """Return the id of the run with this key, and create the run if there is none."""
        from mlflow.exceptions import MlflowException

        known = self._ids.get(key)
        if known and key not in self._open:
            try:
                self._client.get_run(known)
                self._client.update_run(known, status="RUNNING")
            except MlflowException:  # deleted on the server, or another store at the same address
                known = None
        if known is None:
            made = self._client.create_run(self._experiment, tags=dict(tags), run_name=name)
            known = str(made.info.run_id)
            self._ids[key] = known
            write_json(self._file, _read_run_ids(self._file) | {self._shown: self._ids})
        self._open[key] = known
        return known

    def _end(self, key: str, status: str) -> None:
        run = self._open.pop(key, None)
        if run:
            self._client.set_terminated(run, status=status)

    def _write(
        self,
        run: str,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        step: int = 0,
    ) -> None:
        """Write values to a run, within the limits of older servers."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        numbers = [Metric(_mlflow_key(key), value, now, step) for key, value in (metrics or {}).items()]
        texts = [Param(_mlflow_key(key), value[:_MAX_VALUE_CHARS]) for key, value in (params or {}).items()]
        marks = [RunTag(key, value[:5000]) for key, value in (tags or {}).items()]
        for start in range(0, max(len(texts), len(numbers), len(marks)), _MAX_BATCH_VALUES):
            some = slice(start, start + _MAX_BATCH_VALUES)
            self._client.log_batch(run, metrics=numbers[some], params=texts[some], tags=marks[some])


def _require_package(package: str) -> None:
    if find_spec(package) is None:
        raise MissingExtra("tracking with MLflow", "track", package)


def _read_run_ids(file: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = read_json(file) if file.is_file() else {}
    return found


def _mlflow_key(key: str) -> str:
    """Return a key in the characters that MLflow allows: `f1:queue` as `f1_queue`."""
    return re.sub(r"[^/\w.\- ]", "_", key)[:250]


@contextmanager
def _client_environment() -> Iterator[None]:
    """Set environment variables of the client, except those set by the user, during a call."""
    ours = {key: value for key, value in _ENVIRONMENT.items() if key not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            os.environ.pop(key, None)
