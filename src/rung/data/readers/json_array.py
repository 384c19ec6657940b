"""Read a JSON file that is an array of objects, one by one: memory is bounded by the largest object, not by the file."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO

from rung.core.errors import DataError
from rung.core.types import Row
from rung.data.readers import json_lines
from rung.data.readers.json_lines import first_columns, object_row
from rung.data.sources.encoding import Encoding
from rung.data.sources.files import File
from rung.data.sources.rows import Reading, Table
from rung.data.sources.text_lines import MAX_LINE, TextTable, open_text, undecodable

SUFFIXES = (".json",)
_PIECE = 1 << 16
_BLANK = " \t\r\n"
_FIX = 'It must be an array of objects, [{"text": "...", "label": "..."}, ...], or have one object per line.'


class JsonArrayTable(TextTable):
    """A table of the objects in an array."""

    columns_are_all = False

    def rows(self) -> Iterator[Row]:
        try:
            for number, text in enumerate(_elements(self.file, self.characters), 1):
                yield object_row(self, number, text)
        except UnicodeError:
            raise undecodable(self.file, self.characters) from None


def open_table(file: File, reading: Reading) -> Table:
    """Return the table of a .json file: of an array, or of one object per line."""
    return open_text(file, reading.encoding, _open)


def _open(file: File, encoding: Encoding) -> TextTable:
    with file.text(_codec(encoding)) as stream:
        start = stream.read(_PIECE).lstrip(_mark(encoding) + _BLANK)[:1]
    if start == "[":
        table: TextTable = JsonArrayTable(file, (), encoding)
    elif start == "{":
        table = json_lines.JsonLinesTable(file, (), encoding)
    else:
        raise DataError("this is no table in JSON", file.name, _FIX)
    columns = first_columns(table)
    if not columns:
        what = "one object" if start == "{" else "an array without objects"
        raise DataError(f"the file is {what}, not an array of rows", file.name, _FIX)
    return type(table)(file, columns, encoding)


def _elements(file: File, encoding: Encoding) -> Iterator[str]:
    """Yield the text of each element of the array; raises DataError where the file is cut off or no JSON."""
    decoder = json.JSONDecoder()
    with file.text(_codec(encoding)) as stream:
        text, at, number = stream.read(_PIECE).lstrip(_mark(encoding) + _BLANK), 1, 0
        while True:
            text, at = _next(stream, text, at)
            closes = text[at : at + 1] == "]"
            if number and not closes and text[at : at + 1] == ",":
                text, at = _next(stream, text, at + 1)
            elif number and not closes:
                raise _damaged(file, number)
            if closes:
                text, at = _next(stream, text, at + 1)
                if at < len(text):
                    raise DataError(
                        f"there is more after the end of the array, row {number}", file.name, _FIX
                    )
                return
            text, at, end = _whole(decoder, stream, text, at)
            if end is None:
                raise _damaged(file, number)
            number += 1
            yield text[at:end]
            at = end


def _next(stream: IO[str], text: str, at: int) -> tuple[str, int]:
    """Return the text from the next character that is no blank on, and its place in it."""
    while True:
        while at < len(text) and text[at] in _BLANK:
            at += 1
        if at < len(text):
            return text[at:] if at > _PIECE else text, 0 if at > _PIECE else at
        text, at = stream.read(_PIECE), 0
        if not text:
            return "", 0


def _whole(decoder: json.JSONDecoder, stream: IO[str], text: str, at: int) -> tuple[str, int, int | None]:
    """Return text, place and end of the element that begins here; no end where the file does not hold it whole."""
    while True:
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = len(text)
        # A number or word at the end of what was read may go on.
        if end < len(text):
            return text, at, end
        # Twice as much each time: an object of many pieces is parsed a few times, not once for each.
        more = stream.read(max(_PIECE, len(text) - at)) if len(text) - at < MAX_LINE else ""
        if not more:
            return text, at, None
        text, at = text[at:] + more, 0


def _codec(encoding: Encoding) -> str:
    return "latin-1" if encoding.mixed else encoding.name


def _mark(encoding: Encoding) -> str:
    return codecs.BOM_UTF8.decode("latin-1") if encoding.mixed else "\ufeff"


def _damaged(file: File, rows: int) -> DataError:
    return DataError(f"it is cut off or no JSON after row {rows:,} of its array", file.name, _FIX)
