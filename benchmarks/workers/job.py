"""What a worker is asked and what it answers: files in one folder, so that no environment imports another's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Enough texts for a rate where the answers do not count.
RATE_ROWS = 256


@dataclass(frozen=True)
class Job:
    """A folder with train.jsonl, test.jsonl and job.json, read; model is where the worker saves what it fitted."""

    folder: Path
    train_texts: list[str]
    train_labels: list[str]
    test_texts: list[str]
    threads: int
    weights: Path
    options: dict[str, Any]
    begun: float

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @classmethod
    def read(cls, folder: Path) -> Job:
        """Return the job; its clock starts before the first row is read."""
        begun = time.perf_counter()
        asked = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        train, test = _rows(folder / "train.jsonl"), _rows(folder / "test.jsonl")
        (folder / "model").mkdir()
        return cls(
            folder,
            [row["text"] for row in train],
            [row["label"] for row in train],
            [row["text"] for row in test],
            asked["threads"],
            Path(asked["weights"]),
            asked["options"],
            begun,
        )

    def answer(
        self,
        predict: Callable[[list[str]], Sequence[Any]],
        fit_seconds: float,
        steps: tuple[int, int] | None = None,
        missing_seconds: float = 0.0,
        cpu_seconds: float | None = None,
    ) -> None:
        """Write result.json: call it once, right after the model is saved.

        fit_seconds: from texts to a fitted model, encoding included. steps: (done, needed) where the fit was cut
        short and missing_seconds is what the others would take; then only the rate of answering is measured.
        cpu_seconds: of the fit, where a benchmark compares those, whole or extrapolated.
        """
        build = time.perf_counter() - self.begun
        texts = self.test_texts if steps is None else self.test_texts[:RATE_ROWS]
        begun, cpu = time.perf_counter(), time.process_time()
        answers = [str(label) for label in predict(texts)]
        speed = len(texts) / (time.perf_counter() - begun)
        cpu = time.process_time() - cpu
        found = {
            "answers": answers if steps is None else None,
            "fit_seconds": fit_seconds + missing_seconds,
            "build_seconds": build + missing_seconds,
            "rows_per_s": speed,
            "cpu_seconds": cpu_seconds,
            "rows_per_cpu_s": len(texts) / cpu,
            "size_mb": sum(f.stat().st_size for f in self.model.rglob("*") if f.is_file()) / 1e6,
            "steps": steps,
        }
        (self.folder / "result.json").write_text(json.dumps(found), encoding="utf-8")


def _rows(path: Path) -> list[dict[str, str]]:
    # Not splitlines(): texts may hold other line ends than this one.
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]
