"""The bundle that is exported, opened, and the rows that what is written must answer as it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, RungError
from rung.core.kind import kind
from rung.core.manifest import Manifest
from rung.core.types import Prediction
from rung.serving.predictor import Predictor, open_bundle

# Held in memory, with their answers from both sides.
MOST_ROWS = 100_000


@dataclass(frozen=True)
class Source:
    """A bundle's folder and its predictor: what the server would answer."""

    folder: Path
    predictor: Predictor

    @property
    def manifest(self) -> Manifest:
        return self.predictor.manifest

    @staticmethod
    def open(path: Path) -> Source:
        """Return the bundle of a path: a bundle's folder, or a run's; raises BundleError."""
        own = path / "bundle"
        folder = own if (own / "manifest.json").is_file() and not (path / "manifest.json").is_file() else path
        return Source(folder, open_bundle(folder))

    @property
    def run(self) -> Path | None:
        """Return the run that the bundle, or a compressed one, lies in; None for a bundle by itself."""
        folder = self.folder.resolve().parent
        folder = folder.parent if folder.name == "compressed" else folder
        whole = (folder / "run.json").is_file() and (folder / "report.json").is_file()
        return folder if whole else None


@dataclass(frozen=True)
class Rows:
    """Rows in the form that exports read: texts as they came, other cells as the server read them.

    origin: "validation" (of the run), "file" (the caller's) or "packed" (the bundle's own examples). refused: rows that the
    server does not answer, which were left out. expected: the server's answers.
    """

    inputs: Sequence[Mapping[str, Any]]
    expected: Sequence[Prediction]
    origin: str
    refused: int = 0

    def __len__(self) -> int:
        return len(self.inputs)


def answered_rows(source: Source, rows: Iterable[Mapping[str, Any]], origin: str, where: str) -> Rows:
    """Return the rows that the server answers, with its answers; raises DataError where none is left."""
    predictor = source.predictor
    prose = [field.name for field in predictor.schema.inputs if kind(field.kind).is_prose]
    kept: list[Mapping[str, Any]] = []
    refused = 0
    given = islice(rows, MOST_ROWS)
    for chunk in iter(lambda: [dict(row) for row in islice(given, 512)], []):
        seen: list[dict[str, Any]] = []
        answers = list(predictor.respond(chunk, read=seen.append))
        good = [row for row, answer in zip(chunk, answers, strict=True) if "error" not in answer]
        refused += len(chunk) - len(good)
        kept += [
            {**read, **{name: row.get(name) for name in prose}} for row, read in zip(good, seen, strict=True)
        ]
    if not kept:
        raise DataError("the bundle answers none of the rows", where, "Give rows with its input columns.")
    expected: list[Prediction] = []
    for begin in range(0, len(kept), 512):
        expected += predictor.predict(kept[begin : begin + 512])
    return Rows(kept, expected, origin, refused)


def packed_rows(source: Source) -> Rows:
    """Return the examples packed with the bundle."""
    _, rows = source.predictor.packed_examples()
    return answered_rows(source, rows, "packed", source.folder.name)


def require_stable(source: Source) -> None:
    """Raise RungError for a bundle whose answers vary: they cannot be compared one by one."""
    if source.predictor.is_stochastic:
        raise RungError(
            "the answers of this model vary, so no export can be held against them",
            source.folder.name,
            "Serve it with `rung serve`.",
        )
