"""Read CSV and other delimited text files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from rung.core.errors import DataError
from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.sources import text_lines
from rung.data.sources.encoding import Encoding
from rung.data.sources.files import File
from rung.data.sources.rows import MAX_CELL, TOO_LARGE, Reading, Table, header
from rung.data.sources.text_lines import TextTable, decode_cell, lines, open_text, undecodable

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
_DELIMITERS = ",;\t|"


class DelimitedTable(TextTable):
    """A table whose cells stand between delimiters, the first row naming the columns."""

    def __init__(self, file: File, columns: tuple[str, ...], encoding: Encoding, delimiter: str) -> None:
        super().__init__(file, columns, encoding)
        self.delimiter = delimiter

    def rows(self) -> Iterator[Row]:
        found = _cells(self.file, self.characters, self.delimiter)
        name, columns, width, mixed = self.name, self.columns, len(self.columns), self.characters.mixed
        try:
            next(found, None)
            for number, (cells, problem) in enumerate(found, 1):
                # Spreadsheets end rows with delimiters that the header does not have.
                if len(cells) != width:
                    while len(cells) > width and not cells[-1]:
                        cells.pop()
                if len(cells) != width:
                    plural = "" if len(cells) == 1 else "s"
                    problem = problem or f"malformed: {len(cells)} cell{plural} where the header has {width}"
                elif max(map(len, cells)) > MAX_CELL:
                    problem = problem or f"{TOO_LARGE} cell"
                if mixed and not problem:
                    try:
                        cells = [decode_cell(cell, self.characters) for cell in cells]
                    except UnicodeDecodeError:
                        problem = f"undecodable: not {self.encoding} like most of the file"
                if problem:
                    yield Row(self.name, number, None, problem, hash64("\x1f".join(cells)))
                else:
                    # The lengths are equal: `strict` would count them again.
                    yield Row(name, number, dict(zip(columns, cells)))  # noqa: B905
        except UnicodeError:
            raise undecodable(self.file, self.characters) from None


def open_table(file: File, reading: Reading) -> Table:
    """Return the table of a CSV, TSV or text file."""
    return open_text(file, reading.encoding, _open)


def _open(file: File, encoding: Encoding) -> TextTable:
    head = next((line for line in lines(file, encoding) if line.strip()), "")[:1_000_000]
    bare = re.sub(r'"[^"]*"', "", head)
    counts = {char: bare.count(char) for char in _DELIMITERS}
    tabs = file.suffix in {".tsv", ".tab"}
    delimiter = "\t" if tabs else max(counts, key=lambda char: counts[char])
    rows = _cells(file, encoding, delimiter)
    names, _ = next(rows, ([], ""))
    if not any(name.strip() for name in names):
        raise DataError("the file holds only blank lines", file.name, "It needs a header and rows.")
    columns = header([decode_cell(name, encoding) for name in names], file.name)
    if next(rows, None) is None:
        raise DataError("there is a header but no row", file.name, "Add rows below the header.")
    return DelimitedTable(file, columns, encoding, delimiter)


def _cells(file: File, encoding: Encoding, delimiter: str) -> Iterator[tuple[list[str], str]]:
    """Yield the cells of each row that is not blank, and what is wrong with it: "" if nothing."""
    ended = damaged = False

    def watched() -> Iterator[str]:
        nonlocal ended, damaged
        for line in lines(file, encoding):
            damaged |= "\0" in line
            yield line
        ended = True

    csv.field_size_limit(text_lines.MAX_LINE)
    reader = csv.reader(watched(), delimiter=delimiter)
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
                file.name,
                'Close it, or double it where it belongs to the text: "".',
            )
        if row:
            yield row, "malformed: zero bytes, as damaged files hold" if damaged else ""
