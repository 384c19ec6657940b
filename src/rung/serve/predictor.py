"""A bundle, opened: checked file by file, then answering rows. Code never comes from the bundle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.errors import BundleError, InputError, RungError, did_you_mean
from rung.core.manifest import Manifest, read_manifest, verify_files
from rung.core.model import Explains, Model, Reason
from rung.core.task import Task
from rung.core.types import Field, Prediction

Row = Mapping[str, Any] | str
MAX_CHARS = 1_000_000
_CHUNK = 512
# Another processor may round the last bits of a neural network otherwise.
_TOLERANCE = 1e-3


class Predictor:
    """Answers rows with one packed model. Made by `open_bundle` (`rung.load`); safe to share between threads."""

    def __init__(self, manifest: Manifest, task: Task, model: Model, folder: Path) -> None:
        self.manifest = manifest
        self.schema = manifest.schema
        self.task = task
        self.folder = folder
        self._model = model

    def predict(self, rows: Sequence[Row]) -> list[Prediction]:
        """Return one prediction a row, in order.

        rows: mappings from input name to value, or plain values when the model reads a single input.
        Raises InputError for the first row that cannot be answered.
        """
        if isinstance(rows, str | Mapping):
            raise InputError("predict takes a list of rows", "predict", 'Write model.predict(["..."]).')
        return self._answer([self._checked(row, f"row {i}") for i, row in enumerate(rows)])

    def explain(self, rows: Sequence[Row], most: int = 8) -> list[list[Reason]]:
        """Return, a row, what in the input decided, strongest first; [] from a model that cannot say."""
        checked = [self._checked(row, f"row {i}") for i, row in enumerate(rows)]
        if not isinstance(self._model, Explains) or not checked:
            return [[] for _ in checked]
        return self._model.explain(self._columns(checked), most)

    def as_read(self, row: Row) -> dict[str, Any]:
        """Return a row's inputs as the model gets them, mended and masked where the product says so.

        Raises InputError for a row that cannot be answered.
        """
        return self._checked(row, "")

    def respond(
        self, rows: Iterable[Row | RungError], scores: bool = False, answered_by: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield the JSON answer of each row as it comes; a row that cannot be answered yields its error.

        answered_by: also say which family answered, where several stand behind each other. An item that already is an error (a row of a file that could not be read) passes through. Memory does
        not grow with the number of rows.
        """
        stream = iter(rows)
        while chunk := list(islice(stream, _CHUNK)):
            checked: list[dict[str, Any]] = []
            errors: dict[int, str] = {}
            for place, row in enumerate(chunk):
                try:
                    if isinstance(row, RungError):
                        raise row
                    checked.append(self._checked(row, ""))
                except RungError as error:
                    errors[place] = error.problem
            answers = iter(self._answer(checked))
            for place in range(len(chunk)):
                if place in errors:
                    yield {"error": errors[place]}
                    continue
                answer = next(answers)
                by = {"answered_by": answer.answered_by or self.manifest.model} if answered_by else {}
                yield self.task.response(answer, self.schema, scores) | by

    def selftest(self) -> list[str]:
        """Return what differs from the examples packed with the model: [] when all is well."""
        path = self.folder / "selftest.jsonl"
        cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        answers = self.respond([case["inputs"] for case in cases], scores=True)
        return [
            f"example {i}: expected {case['answer']}, got {answer}"
            for i, (case, answer) in enumerate(zip(cases, answers, strict=True))
            if not _close(case["answer"], answer)
        ]

    def _answer(self, rows: list[dict[str, Any]]) -> list[Prediction]:
        return self._model.predict(self._columns(rows)) if rows else []

    def _columns(self, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
        return {name: [row[name] for row in rows] for name in self.schema.input_names}

    def _checked(self, row: Row, where: str) -> dict[str, Any]:
        """Return the row's inputs in the schema's kinds; raises InputError saying what does not fit."""
        if not isinstance(row, Mapping):
            if len(self.schema.inputs) != 1:
                names = ", ".join(self.schema.input_names)
                raise InputError(
                    f"the model reads {names}: a bare value is not enough", where, "Send an object."
                )
            row = {self.schema.inputs[0].name: row}
        values = {}
        for field in self.schema.inputs:
            if field.name not in row:
                fix = did_you_mean(field.name, map(str, row)) if row else ""
                raise InputError(f"the input '{field.name}' is missing", where, fix)
            values[field.name] = _as_kind(field, row[field.name], where)
        refused = self.task.refuse_input(values)
        if refused:
            raise InputError(refused, where, "Send a row that has something to answer.")
        return values


def open_bundle(folder: str | Path) -> Predictor:
    """Return the predictor of a bundle, every file checked against its hash first.

    Raises BundleError when anything is damaged, added, of a newer format or leads out of the folder.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    verify_files(path, manifest)
    task = registry.task(manifest.task)
    family = registry.model(manifest.model)
    try:
        model = family.load(path / "model", manifest.schema)
    except RungError:
        raise
    except (
        Exception
    ) as error:  # A file may be wrong in any way: its reader's every complaint is the bundle's fault.
        raise BundleError(
            f"the model cannot be loaded: {error}", path.name, "Build the bundle again."
        ) from error
    return Predictor(manifest, task, model, path)


def _as_kind(field: Field, value: Any, where: str) -> Any:
    if value is None:
        return "" if field.kind == "text" else None
    if field.kind == "text":
        if isinstance(value, list | dict | bytes):
            raise InputError(
                f"'{field.name}' must be text, not {type(value).__name__}", where, "Send a string."
            )
        text = str(value)
        if len(text) > MAX_CHARS:
            raise InputError(
                f"'{field.name}' has more than {MAX_CHARS:,} characters", where, "Send less of it."
            )
        return text
    if field.kind == "list" and not isinstance(value, list):
        raise InputError(
            f"'{field.name}' must be a list, not {type(value).__name__}", where, "Send a JSON list."
        )
    if field.kind == "number":
        try:
            return float(value)
        except (TypeError, ValueError):
            raise InputError(
                f"'{field.name}' must be a number, not {value!r}", where, "Send a number."
            ) from None
    return value


def _close(expected: Any, got: Any) -> bool:
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(_close(expected[key], got[key]) for key in expected)
    if isinstance(expected, float) and isinstance(got, int | float):
        return abs(expected - got) <= _TOLERANCE
    return bool(expected == got)
