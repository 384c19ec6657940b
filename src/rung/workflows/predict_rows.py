"""Predict the rows of a file, folder or table: one line of CSV or JSON out for each row in."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from unicodedata import normalize

from rung.core.csv_cells import FORMULA_PREFIXES, escape_formula
from rung.core.errors import InputError
from rung.core.kind import MediaKind, kind
from rung.data.sources.media_files import MediaFiles, NamedMedia, is_media_path
from rung.data.sources.read import Source, open_source, read_rows
from rung.data.sources.rows import Reading
from rung.serving.predictor import Predictor

# So many different errors are counted by themselves.
MOST_ERRORS = 10
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class OutputOptions:
    """Which columns a line of the output holds, and whether it is JSON."""

    scores: bool
    explain: bool
    keep: bool
    id_column: str | None
    jsonl: bool


@dataclass(frozen=True)
class RowsToPredict:
    """The rows to predict. named: reads media that cells refer to. are_files: rows are identified by their files."""

    source: Source
    named: NamedMedia
    are_files: bool = False


def open_rows(
    model: Predictor, paths: Sequence[Path], may_be_folder: bool, encoding: str | None
) -> RowsToPredict:
    """Return the rows of a table, or of image, sound and document files.

    may_be_folder: a folder holds files of the model's media. Raises RungError for what the model cannot read.
    """
    inputs = model.schema.inputs
    known = {field.name: kind(field.kind) for field in inputs}
    media = {name: found for name, found in known.items() if isinstance(found, MediaKind)}
    first = next(iter(media.items()), None)
    if first and all(path.is_dir() if may_be_folder else is_media_path(path, first[1]) for path in paths):
        if len(inputs) > 1:
            names = ", ".join(known)
            fix = "Give a table with a column for each: -i table.csv."
            raise InputError(f"the model reads {names}: files alone are not enough", str(paths[0]), fix)
        table = MediaFiles(paths, *first)
        return RowsToPredict(Source(table.name, (table,)), NamedMedia({}, ()), are_files=True)
    if len(paths) > 1:
        raise InputError("several files are not one table", str(paths[1]), "Give only one table.")
    opened = open_source(paths[0], Reading(encoding))
    folders = [table.folder for table in opened.tables if table.folder is not None]
    return RowsToPredict(opened, NamedMedia(media, folders))


def predict_rows(
    model: Predictor,
    asked: RowsToPredict,
    file: TextIO,
    options: OutputOptions,
    encode: Callable[[Any], str] = _ENCODE,
) -> tuple[Counter[str], int]:
    """Stream rows through the model, one line out for each row in; return (error -> rows with it, rows).

    encode: makes a line of JSON.
    """
    id_column, source = options.id_column, asked.source
    wanted = [name for name in model.schema.input_names if name not in model.unused]
    for name in (*wanted, *([id_column] if id_column else [])):
        source.require(name, "the model's input" if name != id_column else "--id")
    needed = {*model.schema.input_names, *(normalize("NFC", name) for name in model.schema.input_names)}
    outputs = [field.name for field in model.task.columns(model.schema, options.scores)]
    result_columns = (*outputs, *(["reasons"] if options.explain else []), "error")
    first = "id" if id_column else "file" if asked.are_files else "row"
    reserved = {first, *result_columns}
    # An input column named like an output column is written under another name.
    kept = {c: f"input:{c}" if c in reserved else c for c in source.columns if options.keep}
    header = [first, *kept.values(), *result_columns]
    write = (
        _json_writer(file, header, set(result_columns), encode)
        if options.jsonl
        else _csv_writer(file, header)
    )
    waiting: deque[tuple[Any, ...]] = deque()

    def inputs() -> Iterator[Any]:
        for row in read_rows(source, needed):
            values = row.values or {}
            name = values.get(id_column, "") if id_column else row.file if asked.are_files else row.number
            waiting.append((name, *[_cell(values.get(column, "")) for column in kept]))
            if row.values is None:
                yield InputError(row.problem.partition(": ")[2] if asked.are_files else row.problem)
                continue
            try:
                yield asked.named.read(row.values)
            except ValueError as error:
                yield InputError(str(error))

    rows = 0
    errors: Counter[str] = Counter()
    for answer in model.respond(inputs(), options.scores, ahead=True, explain=options.explain):
        if options.explain and not options.jsonl:
            answer["reasons"] = "; ".join(
                f"{r['text']} ({r['weight']:+.2f})" for r in answer.get("reasons", ())
            )
        get = answer.get
        write([*waiting.popleft(), *[get(name, "") for name in result_columns]])
        rows += 1
        if "error" in answer and (len(errors) < MOST_ERRORS or answer["error"] in errors):
            errors[answer["error"]] += 1
        elif "error" in answer:
            errors["other"] += 1
    return errors, rows


def _cell(value: Any) -> Any:
    """Return an input cell as written to the output: media by name."""
    return value.shown() if hasattr(value, "shown") else value


def _csv_writer(file: TextIO, header: list[str]) -> Any:
    writer = csv.writer(file, lineterminator="\n")

    def write(cells: list[Any]) -> None:
        # Labels and inputs are of others: a spreadsheet that opens the file would run formulas in them.
        cells = [json.dumps(c, ensure_ascii=False) if isinstance(c, list) else c for c in cells]
        shown = [
            escape_formula(c) if isinstance(c, str) and c.startswith(FORMULA_PREFIXES) else c for c in cells
        ]
        if any(isinstance(c, str) and "\r" in c for c in shown):
            # Before Python 3.13 a carriage return is quoted only where it ends lines.
            line = io.StringIO(newline="")
            csv.writer(line, lineterminator="\r\n").writerow(shown)
            file.write(line.getvalue()[:-2] + "\n")
        else:
            writer.writerow(shown)

    write(header)
    return write


def _json_writer(file: TextIO, header: list[str], skip: set[str], encode: Callable[[Any], str]) -> Any:
    """Return a writer of JSON lines that leaves out empty result columns: the error, or the prediction."""

    def write(cells: list[Any]) -> None:
        line = {k: v for k, v in zip(header, cells, strict=True) if v != "" or k not in skip}
        file.write(encode(line) + "\n")

    return write
