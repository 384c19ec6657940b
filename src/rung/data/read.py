"""Read rows from CSV, TSV, JSON lines and folders of files, one at a time: memory does not grow with the file."""

from __future__ import annotations

import codecs
import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from rung.core.errors import DataError, did_you_mean
from rung.data.encoding import Encoding, decode, detect
from rung.data.hashing import hash64

# A cell beyond this is quarantined: somebody pasted a log file into it.
MAX_CELL = 1_000_000
# A line or a cell beyond this is no table or a quote that was never closed: reading on would fill the memory.
_MAX_LINE = 1 << 26
_MAX_COLUMNS = 20_000
_DELIMITERS = ",;\t|"
_CSV = {".csv", ".tsv", ".tab", ".txt"}
_JSONL = {".jsonl", ".ndjson"}
_TOO_LARGE = f"cell_too_large: more than {MAX_CELL:,} characters in one"


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
        if column in self.columns:
            return
        # Keys of JSON lines were gathered from the first lines only.
        if self.kind == "jsonl" and any(column in (row.values or ()) for row in read_rows(self)):
            return
        shown = [name if len(name) <= 60 else name[:57] + "..." for name in self.columns]
        raise DataError(f"there is no column '{column}' ({key})", self.path.name, did_you_mean(column, shown))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a source.

    number: from 1, header and blank lines not counted. values: None when `problem` ("reason: detail") says
    why not. hash: of what stands in the file, for rows with a problem.
    """

    file: str
    number: int
    values: dict[str, Any] | None
    problem: str = ""
    hash: int = 0


def open_source(path: Path, encoding: str | None = None) -> Source:
    """Return how to read a file or folder.

    Raises DataError when it is missing, empty, binary, of an unknown kind, or has no rows.
    """
    try:
        return _open(path, encoding)
    except OSError as error:
        raise _unreadable(path, error) from None


def read_rows(source: Source) -> Iterator[Row]:
    """Yield every row in order; one that cannot be read has a problem instead of values.

    Raises DataError when the source as a whole cannot be read on.
    """
    readers = {"csv": _read_csv, "jsonl": _read_jsonl, "folder": _read_folder}
    try:
        yield from readers[source.kind](source)
    except UnicodeError:
        raise _undecodable(source.path, source.encoding) from None
    except OSError as error:
        raise _unreadable(source.path, error) from None


def source_files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of each file that a source reads, in the order it reads them."""
    if path.is_dir():
        yield from _documents(path)
    else:
        yield path.name, path


def _open(path: Path, encoding: str | None) -> Source:
    if not path.exists():
        siblings = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        fix = did_you_mean(path.name, siblings) if siblings else "Check `data.path`."
        raise DataError("there is no such file or folder", str(path), fix)
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise DataError("this is neither a file nor a folder", str(path), "Save the table as a file.")
    if path.stat().st_size == 0:
        raise DataError("the file is empty", path.name, "It needs a header and rows.")
    suffix = path.suffix.lower()
    if suffix not in _CSV | _JSONL:
        kind = f"files of kind '{suffix}'" if suffix else "files without an ending"
        raise DataError(f"{kind} are not read yet", path.name, "Save it as .csv, .tsv or .jsonl.")
    if encoding:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise DataError(
                f"there is no character encoding '{encoding}'", path.name, "Leave it out to have it detected."
            ) from None
    found = Encoding(encoding) if encoding else detect(path)
    try:
        return _open_jsonl(path, found) if suffix in _JSONL else _open_csv(path, found)
    except UnicodeError:
        raise _undecodable(path, found) from None


def _undecodable(path: Path, encoding: Encoding) -> DataError:
    fix = "Save the file as UTF-8. If the spec has a `data.encoding`, is it the right one?"
    return DataError(f"the file is not {encoding.name} all through", path.name, fix)


def _unreadable(path: Path, error: OSError) -> DataError:
    reason = (error.strerror or str(error)).lower()
    return DataError(f"it cannot be read: {reason}", str(path), "Check the path and its permissions.")


def _lines(path: Path, encoding: Encoding) -> Iterator[str]:
    """Yield lines with their ends. A mixed file comes as Latin-1, byte for character, to be decoded by cell."""
    name = "latin-1" if encoding.mixed else encoding.name
    mark = codecs.BOM_UTF8.decode("latin-1") if encoding.mixed else "\ufeff"
    with path.open(encoding=name, newline="") as file:
        # Only \n and \r end a line of a table; NEL and friends do not, and `open` splits as we wish.
        line = file.readline(_MAX_LINE).removeprefix(mark)
        number = 1
        while line:
            if len(line) >= _MAX_LINE - len(mark) and line[-1] not in "\r\n":
                raise DataError(
                    f"line {number} has more than {_MAX_LINE >> 20} million characters",
                    path.name,
                    "Is this the table? Each row must be on a line of its own.",
                )
            yield line
            line = file.readline(_MAX_LINE)
            number += 1


def _decode_cell(cell: str, encoding: Encoding) -> str:
    return cell.encode("latin-1").decode(encoding.name) if encoding.mixed and not cell.isascii() else cell


def _csv_rows(path: Path, encoding: Encoding, delimiter: str) -> Iterator[tuple[list[str], str]]:
    """Yield the cells of each row that is not blank, and what is wrong with it: "" if nothing."""
    ended = damaged = False

    def lines() -> Iterator[str]:
        nonlocal ended, damaged
        for line in _lines(path, encoding):
            damaged |= "\0" in line
            yield line
        ended = True

    csv.field_size_limit(_MAX_LINE)
    reader = csv.reader(lines(), delimiter=delimiter)
    while True:
        begins, damaged = reader.line_num + 1, False
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            row, ended = [], True
        # The reader asks for a line after the last one only when a quote is open.
        if ended:
            raise DataError(
                f"a quote opens in line {begins} and is never closed",
                path.name,
                'Close it, or double it where it belongs to the text: "".',
            )
        if row:
            yield row, "malformed: zero bytes, as damaged files hold" if damaged else ""


def _open_csv(path: Path, encoding: Encoding) -> Source:
    head = next((line for line in _lines(path, encoding) if line.strip()), "")[:1_000_000]
    bare = re.sub(r'"[^"]*"', "", head)
    counts = {char: bare.count(char) for char in _DELIMITERS}
    delimiter = "\t" if path.suffix.lower() in {".tsv", ".tab"} else max(counts, key=lambda c: counts[c])
    rows = _csv_rows(path, encoding, delimiter)
    header, _ = next(rows, ([], ""))
    if not any(name.strip() for name in header):
        raise DataError("the file holds only blank lines", path.name, "It needs a header and rows.")
    if len(header) > _MAX_COLUMNS:
        raise DataError(
            f"the header has {len(header):,} columns; at most {_MAX_COLUMNS:,} are read",
            path.name,
            "Is this the table? Keep the columns that matter.",
        )
    columns = tuple(_decode_cell(name, encoding).strip() or f"column_{i}" for i, name in enumerate(header, 1))
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise DataError(
            f"the header holds the column '{twice[0]}' more than once", path.name, "Rename one of them."
        )
    if next(rows, None) is None:
        raise DataError("there is a header but no row", path.name, "Add rows below the header.")
    return Source(path, "csv", columns, encoding, delimiter)


def _read_csv(source: Source) -> Iterator[Row]:
    rows = _csv_rows(source.path, source.encoding, source.delimiter)
    next(rows, None)
    file, columns, width, mixed = source.path.name, source.columns, len(source.columns), source.encoding.mixed
    for number, (cells, problem) in enumerate(rows, 1):
        # Spreadsheets end rows with delimiters that the header does not have.
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if len(cells) != width:
            plural = "" if len(cells) == 1 else "s"
            problem = problem or f"malformed: {len(cells)} cell{plural} where the header has {width}"
        elif max(map(len, cells)) > MAX_CELL:
            problem = problem or f"{_TOO_LARGE} cell"
        if mixed and not problem:
            try:
                cells = [_decode_cell(cell, source.encoding) for cell in cells]
            except UnicodeDecodeError:
                problem = f"undecodable: not {source.encoding.name} like most of the file"
        if problem:
            yield Row(file, number, None, problem, hash64("\x1f".join(cells)))
        else:
            yield Row(file, number, dict(zip(columns, cells, strict=True)))


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
        try:
            values, problem = _parse_object(_decode_cell(line, source.encoding))
        except UnicodeDecodeError:
            values, problem = None, f"undecodable: not {source.encoding.name} like most of the file"
        yield Row(source.path.name, number, values, problem, hash64(line) if problem else 0)


def _parse_object(line: str) -> tuple[dict[str, Any] | None, str]:
    """Return the object of a line and "", or None and what is wrong. NaN and Infinity come as None."""
    try:
        values = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None, "malformed: not JSON"
    if not isinstance(values, dict):
        return None, f"malformed: a JSON {type(values).__name__} where an object should be"
    if len(line) > MAX_CELL and any(isinstance(v, str) and len(v) > MAX_CELL for v in values.values()):
        return None, f"{_TOO_LARGE} cell"
    if "\\ud" in line or "\\uD" in line:
        try:
            json.dumps(values, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return None, "malformed: half of a surrogate pair, which is no character"
    return values, ""


def _open_folder(path: Path) -> Source:
    if next(_documents(path), None) is None:
        raise DataError(
            "no files in sub-folders",
            str(path),
            "A folder of texts needs one sub-folder per class: <class>/<file>.txt",
        )
    return Source(path, "folder", ("text", "label", "file"))


def _documents(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of the files below each class's folder in a fixed order; hidden ones and links to
    folders inside a class are passed over, so a loop of links ends."""
    for label in sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for folder, below, files in os.walk(path / label):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(files):
                document = Path(folder, name)
                if not name.startswith(".") and document.is_file():
                    # A name that is not UTF-8 must still be printable.
                    relative = os.fsencode(document.relative_to(path).as_posix())
                    yield relative.decode("utf-8", "backslashreplace"), document


def _read_folder(source: Source) -> Iterator[Row]:
    for number, (name, path) in enumerate(_documents(source.path), 1):
        try:
            with path.open("rb") as file:
                data = file.read(4 * MAX_CELL + 4)
        except OSError as error:
            problem = f"unreadable: {(error.strerror or str(error)).lower()}"
            yield Row(name, number, None, problem, hash64(name))
            continue
        text = decode(data) if len(data) <= 4 * MAX_CELL else None
        if len(data) > 4 * MAX_CELL or (text is not None and len(text) > MAX_CELL):
            problem = f"{_TOO_LARGE} file"
        else:
            problem = "undecodable: not text in UTF-8, UTF-16 or GB18030" if text is None else ""
        if problem:
            yield Row(name, number, None, problem, hash64(data.decode("latin-1")))
        else:
            yield Row(name, number, {"text": text, "label": name.split("/")[0], "file": name})
