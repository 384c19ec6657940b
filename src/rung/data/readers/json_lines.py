"""Read JSON lines: one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any
from unicodedata import normalize

from rung.core.errors import DataError
from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.sources.encoding import Encoding
from rung.data.sources.files import File
from rung.data.sources.rows import MAX_CELL, Reading, Table, plain, row_of
from rung.data.sources.text_lines import TextTable, decode_cell, lines, open_text, undecodable

SUFFIXES = (".jsonl", ".ndjson")
# The columns are the keys of this many lines; `require` looks at the others.
_SAMPLE = 1000


class JsonLinesTable(TextTable):
    """A table of JSON objects, a line each."""

    columns_are_all = False

    def rows(self) -> Iterator[Row]:
        number = 0
        try:
            for line in lines(self.file, self.characters):
                if not line.strip():
                    continue
                number += 1
                yield object_row(self, number, line)
        except UnicodeError:
            raise undecodable(self.file, self.characters) from None


def open_table(file: File, reading: Reading) -> Table:
    """Return the table of a JSON lines file."""
    return open_text(file, reading.encoding, _open)


def _open(file: File, encoding: Encoding) -> TextTable:
    columns = first_columns(JsonLinesTable(file, (), encoding))
    if not columns:
        raise DataError(
            "no line is a JSON object", file.name, 'Each line must look like {"text": "...", "label": "..."}.'
        )
    return JsonLinesTable(file, columns, encoding)


def object_row(table: TextTable, number: int, text: str) -> Row:
    """Return the row that the text of a JSON object is, or what is wrong with it."""
    try:
        values, problem = _parse_object(decode_cell(text, table.characters))
    except UnicodeDecodeError:
        values, problem = None, f"undecodable: not {table.encoding} like most of the file"
    if values is None or len(text) <= MAX_CELL:
        return Row(table.name, number, values, problem, hash64(text) if problem else 0)
    return row_of(table.name, number, tuple(values), [_long(cell) for cell in values.values()])


def first_columns(table: TextTable) -> tuple[str, ...]:
    """Return the keys of the first objects, in the order of their appearance."""
    columns: dict[str, None] = {}
    for row in islice(table.rows(), _SAMPLE):
        columns.update(dict.fromkeys(row.values or ()))
    return tuple(columns)


def _parse_object(line: str) -> tuple[dict[str, Any] | None, str]:
    """Return the object of a line and "", or None and what is wrong. NaN and Infinity come as None."""
    try:
        values = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None, "malformed: not JSON"
    if not isinstance(values, dict):
        return None, f"malformed: a JSON {type(values).__name__} where an object should be"
    if not all(map(str.isascii, values)):
        values = {normalize("NFC", name): value for name, value in values.items()}
    if "\\ud" in line or "\\uD" in line:
        try:
            json.dumps(values, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return None, "malformed: half of a surrogate pair, which is no character"
    return values, ""


def _long(value: Any) -> Any:
    """Return a cell of a very long line; an UnreadableCell for a text that is too long."""
    return plain(value) if isinstance(value, str) else value
