"""Read rows from CSV, TSV, JSON lines and folders of files, one at a time: memory does not grow with the file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from rung.core.errors import DataError, did_you_mean
from rung.data.encoding import Encoding, decode, detect

# A cell beyond this is quarantined: somebody pasted a log file into it.
MAX_CELL = 1_000_000
# A cell beyond this is a quote that was never closed: reading on would swallow the file.
_MAX_FIELD = 128 << 20
_DELIMITERS = ",;\t|"
_CSV = {".csv", ".tsv", ".tab", ".txt"}
_JSONL = {".jsonl", ".ndjson"}


@dataclass(frozen=True)
class Source:
    """A readable table: how to read it and which columns it has."""

    path: Path
    kind: Literal["csv", "jsonl", "folder"]
    columns: tuple[str, ...]
    encoding: Encoding = Encoding("utf-8")
    delimiter: str = ","

    def require(self, column: str, key: str) -> None:
        """Raise DataError when there is no such column; key: the spec's key that asks for it."""
        if column not in self.columns:
            raise DataError(
                f"there is no column '{column}' ({key})", self.path.name, did_you_mean(column, self.columns)
            )


@dataclass(frozen=True)
class Row:
    """A row of a source. number: from 1, header not counted. values: None when `problem` says why not."""

    file: str
    number: int
    values: dict[str, Any] | None
    problem: str = ""


def open_source(path: Path, encoding: str | None = None) -> Source:
    """Return how to read a file or folder.

    Raises DataError when it is missing, empty, binary, of an unknown kind, or has no rows.
    """
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        fix = did_you_mean(path.name, siblings) if siblings else "Check `data.path`."
        raise DataError("there is no such file or folder", str(path), fix)
    if path.is_dir():
        return _open_folder(path)
    if path.stat().st_size == 0:
        raise DataError("the file is empty", path.name, "It needs a header and rows.")
    if path.suffix.lower() not in _CSV | _JSONL:
        raise DataError(
            f"files of kind '{path.suffix}' are not read yet", path.name, "Export it as .csv, .tsv or .jsonl."
        )
    found = Encoding(encoding) if encoding else detect(path)
    try:
        if path.suffix.lower() in _JSONL:
            return _open_jsonl(path, found)
        return _open_csv(path, found)
    except UnicodeError as error:
        raise _undecodable(path, found, error) from None


def read_rows(source: Source) -> Iterator[Row]:
    """Yield every row in order; one that cannot be read has a problem instead of values."""
    readers = {"csv": _read_csv, "jsonl": _read_jsonl, "folder": _read_folder}
    try:
        yield from readers[source.kind](source)
    except UnicodeError as error:
        raise _undecodable(source.path, source.encoding, error) from None


def _undecodable(path: Path, encoding: Encoding, error: UnicodeError) -> DataError:
    fix = "Leave out `data.encoding` to have it detected, or save the file as UTF-8."
    return DataError(f"the file is not {encoding.name} all through: {error}", path.name, fix)


def _lines(source_path: Path, encoding: Encoding) -> Iterator[str]:
    """Yield lines with their ends. A mixed file comes as Latin-1, byte for character, to be decoded by cell."""
    name = "latin-1" if encoding.mixed else encoding.name
    with source_path.open(encoding=name, newline="") as file:
        for line in file:
            # NEL and friends never end a line of a table; only \n and \r do, and `open` has split there.
            yield line


def _decode_cell(cell: str, encoding: Encoding) -> str:
    return cell.encode("latin-1").decode(encoding.name) if encoding.mixed and not cell.isascii() else cell


def _csv_rows(path: Path, encoding: Encoding, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(_lines(path, encoding), delimiter=delimiter)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"line {reader.line_num} cannot be read: {error}",
                path.name,
                "Look for a quote that is never closed near the row before.",
            ) from None
        if row:
            yield row


def _open_csv(path: Path, encoding: Encoding) -> Source:
    head = next(_lines(path, encoding), "")[:100_000]
    counts = {char: head.count(char) for char in _DELIMITERS}
    delimiter = "\t" if path.suffix.lower() in {".tsv", ".tab"} else max(counts, key=lambda c: counts[c])
    rows = _csv_rows(path, encoding, delimiter)
    header = next(rows, [])
    columns = tuple(
        _decode_cell(name, encoding).strip().lstrip("\ufeff") or f"column_{i}"
        for i, name in enumerate(header, 1)
    )
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(
            f"the column '{twice[0]}' stands twice in the header", path.name, "Rename one of them."
        )
    if next(rows, None) is None:
        raise DataError("there is a header but no row", path.name, "Add rows below the header.")
    return Source(path, "csv", columns, encoding, delimiter)


def _read_csv(source: Source) -> Iterator[Row]:
    rows = _csv_rows(source.path, source.encoding, source.delimiter)
    next(rows, None)
    width = len(source.columns)
    for number, cells in enumerate(rows, 1):
        problem = ""
        if len(cells) != width:
            problem = f"malformed: {len(cells)} cells where the header has {width}"
        elif any(len(cell) > MAX_CELL for cell in cells):
            problem = f"cell_too_large: more than {MAX_CELL:,} characters in one cell"
        elif source.encoding.mixed:
            try:
                cells = [_decode_cell(cell, source.encoding) for cell in cells]
            except UnicodeDecodeError:
                problem = f"undecodable: not {source.encoding.name} like most of the file"
        values = None if problem else dict(zip(source.columns, cells, strict=True))
        yield Row(source.path.name, number, values, problem)


def _open_jsonl(path: Path, encoding: Encoding) -> Source:
    source = Source(path, "jsonl", (), encoding)
    columns: dict[str, None] = {}
    for row in islice(_read_jsonl(source), 1000):
        columns.update(dict.fromkeys(row.values or ()))
    if not columns:
        raise DataError(
            "no line is a JSON object", path.name, 'Each line must look like {"text": "...", "label": "..."}.'
        )
    return Source(path, "jsonl", tuple(columns), encoding)


def _read_jsonl(source: Source) -> Iterator[Row]:
    number = 0
    for line in _lines(source.path, source.encoding):
        if not line.strip():
            continue
        number += 1
        problem, values = "", None
        try:
            if len(line) > _MAX_FIELD:
                raise ValueError("line too long")
            values = json.loads(_decode_cell(line, source.encoding))
            if not isinstance(values, dict):
                problem = f"malformed: a JSON {type(values).__name__} where an object should be"
            elif any(isinstance(v, str) and len(v) > MAX_CELL for v in values.values()):
                problem = f"cell_too_large: more than {MAX_CELL:,} characters in one cell"
        except UnicodeDecodeError:
            problem = f"undecodable: not {source.encoding.name} like most of the file"
        except (ValueError, RecursionError):
            problem = "malformed: not JSON"
        yield Row(source.path.name, number, None if problem else values, problem)


def _open_folder(path: Path) -> Source:
    if next(_documents(path), None) is None:
        raise DataError(
            "no files in sub-folders",
            str(path),
            "A folder of texts needs one sub-folder per class: <class>/<file>.txt",
        )
    return Source(path, "folder", ("text", "label", "file"))


def _documents(path: Path) -> Iterator[Path]:
    for folder in sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")):
        yield from sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def _read_folder(source: Source) -> Iterator[Row]:
    for number, path in enumerate(_documents(source.path), 1):
        name = path.relative_to(source.path).as_posix()
        if path.stat().st_size > 4 * MAX_CELL:
            yield Row(name, number, None, f"cell_too_large: more than {MAX_CELL:,} characters in one file")
            continue
        data = path.read_bytes()
        text = decode(data) if b"\0" not in data or data[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        if text is None:
            yield Row(name, number, None, "undecodable: not text in UTF-8, UTF-16 or GB18030")
        else:
            yield Row(name, number, {"text": text, "label": name.split("/")[0], "file": name})
