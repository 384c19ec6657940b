"""Predict and measure a bundle in a fresh process: `python -m rung.serving.subprocess_predict BUNDLE ROWS ANSWERS`.

What is measured is what ships: the process imports what a server imports, loads the packed files and predicts; it
shares no state with the training run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.activity import doing
from rung.core.answers import answer_from_json, answer_to_json
from rung.core.blobs import Blob, TransferMedia
from rung.core.child_process import child_environment
from rung.core.errors import BundleError
from rung.core.kind import kind
from rung.core.model import Model
from rung.core.types import Prediction, Schema
from rung.runtime.service.metered import MeteredModel, Metering

_SINGLE_ROWS, _BULK_ROWS = 200, 2_000
# A slow model is timed on fewer rows: at least _FEWEST_SINGLES single rows, and no more after _SECONDS. Its throughput
# is then that of the predictions themselves, made in batches.
_FEWEST_SINGLES, _SECONDS = 40, 2.0


@dataclass(frozen=True)
class SubprocessResult:
    """Predictions in order, and the measurements: see the `measured` keys in docs/reference/report.md."""

    answers: list[Prediction]
    measured: dict[str, Any]

    @property
    def cpu_per_1k(self) -> float:
        """Return the CPU seconds of 1,000 single-row predictions."""
        return float(self.measured["cpu_seconds_per_1k"])


def predict_in_subprocess(
    bundle: Path,
    rows: Iterable[Mapping[str, Any]],
    measure: bool = False,
    metering: Metering | None = None,
) -> SubprocessResult:
    """Return the bundle's predictions of these rows, made in a fresh process with one thread.

    measure: also time single rows and batches. metering: of a model that charges: no row is asked twice, and the times are
    those of the calls that were made. Raises BundleError with the end of the process's stderr if it fails.
    """
    with tempfile.TemporaryDirectory(prefix="rung-") as scratch:
        asked, answered = Path(scratch) / "rows.jsonl", Path(scratch) / "answers.jsonl"
        media = TransferMedia(Path(scratch))
        with asked.open("w", encoding="utf-8") as file:
            for row in rows:
                shown = {n: media.reference(v) if isinstance(v, Blob) else v for n, v in row.items()}
                file.write(json.dumps(shown, ensure_ascii=False) + "\n")
        command = [
            sys.executable,
            "-m",
            "rung.serving.subprocess_predict",
            str(bundle),
            str(asked),
            str(answered),
            "measure" if measure else "",
            json.dumps(metering.as_dict()) if metering else "",
        ]
        with doing("measure" if measure else "answer"):
            done = subprocess.run(
                command,
                env=child_environment(),
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise BundleError(
                f"the packed model failed in a fresh process: {done.stderr[-2000:]}", str(bundle)
            )
        with answered.open(encoding="utf-8") as file:
            measured = json.loads(next(file))
            answers = [answer_from_json(line) for line in file]
    return SubprocessResult(answers, measured)


def _main(bundle: str, asked: str, answered: str, measure: str, charges: str) -> None:
    started = time.perf_counter()
    from rung.serving.predictor import open_bundle

    metering = Metering.from_dict(json.loads(charges)) if charges else None

    def metered(model: Model) -> Any:
        return MeteredModel(model, Path(bundle) / "model", metering) if metering else model

    model = open_bundle(bundle, metered)
    measured: dict[str, Any] = {"load_seconds": round(time.perf_counter() - started, 4)}
    with Path(asked).open(encoding="utf-8") as file:
        rows = [_restored(json.loads(line), model.schema, Path(asked).parent) for line in file]
    answers: list[Prediction] = []
    if measure and rows and metering is None:
        model.predict(rows[:1])  # Warm-up: lazy initialisation is not part of the latency.
    started = time.perf_counter()
    for start in range(0, len(rows), 512):
        answers.extend(model.predict(rows[start : start + 512]))
    taken = time.perf_counter() - started
    if measure and metering is not None:
        measured |= metering.timings()
    elif measure and rows:
        if taken < _SECONDS:
            rows_timed, taken = _batch_throughput(model.predict, rows)
        else:
            rows_timed = len(rows)
        measured |= {**_timings(model.predict, rows), "throughput_per_s": round(rows_timed / taken, 1)}
    measured["peak_memory_mb"] = round(_peak_memory_mb(), 1)
    with Path(answered).open("w", encoding="utf-8") as file:
        file.write(json.dumps(measured) + "\n")
        for answer in answers:
            file.write(answer_to_json(answer) + "\n")


def _restored(row: dict[str, Any], schema: Schema, scratch: Path) -> dict[str, Any]:
    """Return a row with its media as blobs: they lie where the process that asks has put them."""
    media = TransferMedia(scratch)
    kinds = {field.name: kind(field.kind) for field in schema.inputs}
    return {n: media.resolve(v) if v and kinds[n].is_media else v for n, v in row.items()}


def _timings(predict: Any, rows: list[Any]) -> dict[str, Any]:
    """Return latency and CPU time of single-row predictions."""
    singles = [rows[i % len(rows)] for i in range(_SINGLE_ROWS)]
    started = time.perf_counter()
    for row in singles[:20]:
        predict([row])
        if time.perf_counter() - started > _SECONDS / 10:
            break
    seconds: list[float] = []
    cpu = time.process_time()
    for row in singles:
        started = time.perf_counter()
        predict([row])
        seconds.append(time.perf_counter() - started)
        if len(seconds) >= _FEWEST_SINGLES and sum(seconds) > _SECONDS:
            break
    cpu = time.process_time() - cpu
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    return {
        "latency_ms": {"p50": round(float(p50), 3), "p95": round(float(p95), 3)},
        "cpu_seconds_per_1k": round(cpu / len(seconds) * 1000, 5),
        "measured_on_rows": len(seconds),
    }


def _batch_throughput(predict: Any, rows: list[Any]) -> tuple[int, float]:
    """Return the number of rows predicted in batches, and the seconds they took."""
    bulk = [rows[i % len(rows)] for i in range(min(_BULK_ROWS, max(len(rows), 256)))]
    started = time.perf_counter()
    for start in range(0, len(bulk), 512):
        predict(bulk[start : start + 512])
    return len(bulk), time.perf_counter() - started


def _peak_memory_mb() -> float:
    status = Path("/proc/self/status")
    if status.is_file():
        # Of this process alone; `ru_maxrss` also counts the parent before exec.
        high = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(high.split()[1]) / 1e3
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak / 1e6 if sys.platform == "darwin" else peak / 1e3)


if __name__ == "__main__":
    _main(*sys.argv[1:])
