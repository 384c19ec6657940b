"""A bundle, opened: checked file by file, then answering rows. Code never comes from the bundle."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.cleaning.pipeline import CleaningPipeline
from rung.core import registry
from rung.core.blobs import BundleMedia
from rung.core.column_names import wanted_column
from rung.core.errors import BundleError, InputError, RungError
from rung.core.kind import kind
from rung.core.manifest import Manifest, read_manifest, verify_files
from rung.core.model import Explains, Model, Offers, Probabilities, Reason, Streams
from rung.core.task import Task
from rung.core.types import Prediction, records
from rung.serving.answer_cache import CACHED, Front
from rung.serving.same_answers import is_close, same_fields

Row = Mapping[str, Any] | str
_CHUNK = 512
_SELFTEST = "selftest.jsonl"
# The content of all of them may be in memory at once.
_MEDIA_CHUNK = 64
_BLOCK = 16_384
# Longest row, as JSON, that is shown as an example.
_MAX_EXAMPLE_CHARS = 2_000


class Predictor:
    """Answers rows with one packed model. Made by `open_bundle` (`rung.load`); safe to share between threads."""

    def __init__(self, manifest: Manifest, task: Task, model: Model, folder: Path) -> None:
        self.manifest = manifest
        self.schema = manifest.schema
        self.task = task
        self.folder = folder
        self.model = model
        self._cache: Front | None = None
        self._chain = CleaningPipeline.from_dict(manifest.clean)
        kinds = {field.name: kind(field.kind) for field in self.schema.inputs}
        self._kinds = kinds
        self._texts = [name for name, known in kinds.items() if known.is_prose]
        self._has_media = any(known.is_media for known in kinds.values())
        self._readers = [(field.name, kinds[field.name].reader(field)) for field in self.schema.inputs]
        self.unused = manifest.unused_inputs | {name for name, known in kinds.items() if known.is_optional}
        self._needed = [name for name in self.schema.input_names if name not in self.unused]

    def use_cache(self, cache: Front | None) -> None:
        """Answer rows through a cache, or what draws a share of the answers; explanations and streams ask the model as before."""
        self._cache = cache

    def predict(self, rows: Sequence[Row]) -> list[Prediction]:
        """Return one prediction a row, in order.

        rows: mappings from input name to value, or plain values when the model reads a single input.
        Raises InputError for the first row that cannot be answered.
        """
        if isinstance(rows, str | Mapping):
            raise InputError("predict takes a list of rows", "predict", 'Write model.predict(["..."]).')
        return self._answer([self._checked(row, f"row {i}") for i, row in enumerate(rows)])

    def predict_columns(
        self, columns: Mapping[str, Sequence[Any]], threads: int = 1
    ) -> npt.NDArray[np.float64]:
        """Return [rows, labels] probabilities, or [rows] numbers, of many rows at once, column by column.

        columns: lists, or arrays as data frames hold them, NaN where a number is missing. threads: blocks of rows are
        answered in so many. Faster than `predict` by far where rows are many, since nothing is made row by row. Raises
        InputError for a missing column, a cell that is not of its kind, or a model that answers neither.
        """
        for name, _ in self._readers:
            own = wanted_column(columns, name, "columns", self._needed)
            cells = [None] * len(next(iter(columns.values()), ())) if own is None else columns[own]
            columns = columns if own == name else {**columns, name: cells}
        total = len(columns[self._readers[0][0]])
        # Blocks small enough that what is made of one stays near the processor.
        step = _BLOCK if threads == 1 else min(_BLOCK, max(-(-total // threads), _CHUNK))
        if total <= step:
            return self._block(columns, 0, total)
        begins = range(0, total, step)
        if threads == 1:
            return np.concatenate([self._block(columns, begin, step) for begin in begins])
        with ThreadPoolExecutor(threads) as workers:
            return np.concatenate(list(workers.map(lambda begin: self._block(columns, begin, step), begins)))

    def _block(self, columns: Mapping[str, Sequence[Any]], begin: int, rows: int) -> npt.NDArray[np.float64]:
        own = {name: columns[name][begin : begin + rows] for name, _ in self._readers}
        checked = self._read_columns(own, "columns")
        if self._chain.as_dict():
            each = (dict(zip(own, cells, strict=True)) for cells in zip(*own.values(), strict=True))
            mended = [self._checked(row, f"row {begin + i}") for i, row in enumerate(each)]
            checked = {**self._columns(mended)}
        for place, refused in self._empty_rows(checked):
            raise InputError(refused, f"row {begin + place}", "Send a row that has something to answer.")
        if self.schema.labels and isinstance(self.model, Probabilities):
            return self.model.probabilities(checked)
        return np.array([answer.value for answer in self.model.predict(checked)], dtype=np.float64)

    def _empty_rows(self, columns: Mapping[str, Sequence[Any]]) -> Iterator[tuple[int, str]]:
        """Yield the rows that have nothing to answer, with the reason: only where their first cell is missing."""
        first = next(iter(columns.values()), ())
        gaps: Iterable[int] = (
            np.flatnonzero(np.isnan(first)).tolist()
            if isinstance(first, np.ndarray)
            else (place for place, cell in enumerate(first) if cell is None)
        )
        for place in gaps:
            refused = self.task.refuse_input({name: column[place] for name, column in columns.items()})
            if refused:
                yield place, refused

    def explain(self, rows: Sequence[Row], most: int = 8) -> list[list[Reason]]:
        """Return, a row, what in the input decided, strongest first; [] from a model that cannot say."""
        checked = [self._checked(row, f"row {i}") for i, row in enumerate(rows)]
        if not isinstance(self.model, Explains) or not checked:
            return [[] for _ in checked]
        return self.model.explain(self._columns(checked), most)

    @property
    def offers(self) -> Offers | None:
        """Return the model as far as it knows what an input may hold; None where it does not."""
        return self.model if isinstance(self.model, Offers) else None

    @property
    def streams(self) -> bool:
        """Return whether `stream` yields pieces before the answer."""
        return isinstance(self.model, Streams)

    def stream(
        self, row: Row, read: Callable[[dict[str, Any]], object] | None = None
    ) -> Iterator[str | Prediction]:
        """Return an iterator over the pieces of one answer as they come, then the Prediction.

        row, read: as for `predict` and `respond`. A model that does not stream yields the Prediction alone. Raises
        InputError at once for a row that cannot be answered.
        """
        checked = self._checked(row, "row")
        if read is not None:
            read(checked)
        return self._pieces(checked)

    def _pieces(self, row: dict[str, Any]) -> Iterator[str | Prediction]:
        if not isinstance(self.model, Streams):
            yield self._answer([row])[0]
            return
        stream = iter(self.model.stream(row))
        pieces: list[str] = []
        try:
            while True:
                piece = next(stream)
                pieces.append(piece)
                yield piece
        except StopIteration as done:
            # What a generator returns; the value of any other iterator's end is None.
            answer = done.value
        finally:
            if isinstance(stream, Generator):
                stream.close()
        yield answer if isinstance(answer, Prediction) else Prediction("".join(pieces))

    def respond(
        self,
        rows: Iterable[Row | RungError],
        scores: bool = False,
        answered_by: bool = False,
        read: Callable[[dict[str, Any]], object] | None = None,
        ahead: bool = False,
        explain: bool = False,
        charged: Callable[[float], object] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the JSON answer of each row as it comes; a row that cannot be answered yields its error.

        answered_by: also say which family answered, where several stand behind each other. read: told each row that is
        answered, as the model gets it: mended, and masked where the product says so. ahead: answer in a thread while the
        next rows are drawn, for long files. explain: also what decided, under "reasons". charged: told, for each row that is
        answered, the USD that a service charged for it. An item that already is an error (a row of a file that could not be read)
        passes through. Memory does not grow with the number of rows.
        """
        stream = iter(rows)
        size = _MEDIA_CHUNK if self._has_media else _CHUNK * 4 if ahead else _CHUNK
        chunks = iter(lambda: list(islice(stream, size)), [])

        def answered(chunk: Sequence[Row | RungError]) -> list[dict[str, Any]]:
            found = self._responses(chunk, scores, answered_by, read, charged)
            return self._with_reasons(chunk, found) if explain else found

        if not ahead:
            for chunk in chunks:
                yield from answered(chunk)
            return
        with ThreadPoolExecutor(1) as worker:
            before: Future[list[dict[str, Any]]] | None = None
            for chunk in chunks:
                now = worker.submit(answered, chunk)
                yield from before.result() if before else ()
                before = now
            yield from before.result() if before else ()

    def _responses(
        self,
        chunk: Sequence[Row | RungError],
        scores: bool,
        answered_by: bool,
        read: Callable[[dict[str, Any]], object] | None,
        charged: Callable[[float], object] | None,
    ) -> list[dict[str, Any]]:
        """Return the answers of a few rows."""

        def answered(one: Prediction) -> dict[str, Any]:
            if charged is not None:
                charged(one.cost)
            return self.to_response(one, scores, answered_by)

        columns = self._together(chunk) if self._cache is None else None
        if columns is not None:
            if read is not None:
                for values in records(columns):
                    read(values)
            return [answered(one) for one in self.model.predict(columns)]
        checked: list[dict[str, Any]] = []
        errors: dict[int, str] = {}
        for place, row in enumerate(chunk):
            try:
                if isinstance(row, RungError):
                    raise row
                checked.append(self._checked(row, ""))
            except RungError as error:
                errors[place] = error.problem
        if read is not None:
            for values in checked:
                read(values)
        answers = iter(self._answer(checked))
        return [
            {"error": errors[place]} if place in errors else answered(next(answers))
            for place in range(len(chunk))
        ]

    def _with_reasons(
        self, chunk: Sequence[Row | RungError], answers: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return answers with what decided each; those that are errors stay as they are."""
        good = [i for i, answer in enumerate(answers) if "error" not in answer]
        rows = [row for i in good if not isinstance(row := chunk[i], RungError)]
        for i, reasons in zip(good, self.explain(rows), strict=True):
            answers[i]["reasons"] = [reason.as_dict() for reason in reasons]
        return answers

    def to_response(self, answer: Prediction, scores: bool, answered_by: bool) -> dict[str, Any]:
        """Return a prediction as a row of a response."""
        said = self.task.response(answer, self.schema, scores)
        if not answered_by:
            return said
        by = {"answered_by": answer.answered_by or self.manifest.model}
        marks = {"abstained": answer.abstained, CACHED: answer.extra.get(CACHED, False)}
        return said | by | {name: True for name, is_so in marks.items() if is_so}

    def selftest(self) -> list[str]:
        """Return what differs from the examples packed with the model: [] when all is well.

        Of answers that may vary only the shape is checked: the same keys, values of the same kinds.
        """
        cases, rows = self.packed_examples()
        answers = self.respond(rows, scores=True)
        # Answers that vary by design have the fields of the packed ones, and other values.
        same = same_fields if self.is_stochastic else is_close
        return [
            f"example {i}: expected {case['answer']}, got {answer}"
            for i, (case, answer) in enumerate(zip(cases, answers, strict=True))
            if not same(case["answer"], answer)
        ]

    def packed_examples(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the packed examples as they are written, and their rows; raises BundleError when they cannot be read."""
        media = BundleMedia(self.folder)
        try:
            text = (self.folder / _SELFTEST).read_text(encoding="utf-8")
            cases = [json.loads(line) for line in text.splitlines()]
            if not all(isinstance(case, dict) and isinstance(case["answer"], dict) for case in cases):
                raise ValueError("an example has no answer")
            rows = [
                {
                    name: known.from_json(case["inputs"].get(name), media)
                    for name, known in self._kinds.items()
                }
                for case in cases
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, RungError) as error:
            problem = f"the packed examples cannot be read: {type(error).__name__}"
            raise BundleError(problem, f"{self.folder.name}/{_SELFTEST}", "Build the bundle again.") from None
        return cases, rows

    def example(self) -> dict[str, Any] | None:
        """Return the inputs of a row packed with the model, as a request has them; None where there is none.

        Inputs that are files are left out. A row of more than 2,000 characters is passed over for a shorter one.
        """
        if not (self.folder / _SELFTEST).is_file():
            return None
        try:
            cases, _ = self.packed_examples()
        except BundleError:
            return None
        for case in cases:
            row = {n: case["inputs"].get(n) for n, known in self._kinds.items() if not known.is_media}
            if row and len(json.dumps(row, ensure_ascii=False)) <= _MAX_EXAMPLE_CHARS:
                return row
        return None

    @property
    def is_stochastic(self) -> bool:
        """Return whether the same row may be answered in two ways."""
        families = (self.manifest.model, *self.manifest.children)
        return self.task.is_stochastic or any(registry.model(name).is_stochastic for name in families)

    def _together(self, chunk: Sequence[Row | RungError]) -> dict[str, Sequence[Any]] | None:
        """Return plain rows of cells, read column by column; None where one must be looked at by itself.

        Twice as fast as row by row for tables. Texts are mended and refused one by one.
        """
        if self._texts or self._chain.as_dict() or not all(isinstance(row, Mapping) for row in chunk):
            return None
        rows: Sequence[Any] = chunk
        try:
            columns = self._read_columns({name: [row[name] for row in rows] for name, _ in self._readers}, "")
        except (InputError, KeyError):
            return None
        return None if any(self._empty_rows(columns)) else columns

    def _read_columns(self, columns: Mapping[str, Sequence[Any]], where: str) -> dict[str, Sequence[Any]]:
        """Return columns in the kinds of the schema; raises InputError."""
        fields = zip(self.schema.inputs, self._readers, strict=True)
        return {
            name: self._kinds[name].read_column(field, read, columns[name], where)
            for field, (name, read) in fields
        }

    def _answer(self, rows: list[dict[str, Any]]) -> list[Prediction]:
        if self._cache is not None:
            return self._cache.answer(rows, self._ask)
        return self._ask(rows)

    def _ask(self, rows: list[dict[str, Any]]) -> list[Prediction]:
        return self.model.predict(self._columns(rows)) if rows else []

    def _columns(self, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
        return {name: [row[name] for row in rows] for name in self.schema.input_names}

    def _checked(self, row: Row, where: str) -> dict[str, Any]:
        """Return the row's inputs in the schema's kinds; raises InputError saying what does not fit."""
        if not isinstance(row, Mapping):
            if len(self._needed) != 1:
                names = ", ".join(self._needed)
                raise InputError(
                    f"the model reads {names}: a bare value is not enough", where, "Send an object."
                )
            row = {self._needed[0]: row}
        values: dict[str, Any] = {}
        for name, read in self._readers:
            own = wanted_column(row, name, where, self._needed)
            values[name] = None if own is None else read(row[own], where)
        mended = self._chain.apply(values, self._texts)
        if mended.refused:
            raise InputError(mended.refused, where, "Remove it, and send the rest.")
        refused = self.task.refuse_input(mended.values)
        if refused:
            raise InputError(refused, where, "Send a row that has something to answer.")
        return mended.values


def open_bundle(folder: str | Path, wrap: Callable[[Model], Any] | None = None) -> Predictor:
    """Return the predictor of a bundle, every file checked against its hash first.

    wrap: what is asked in place of the loaded model; it has its methods.
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
    return Predictor(manifest, task, wrap(model) if wrap else model, path)
