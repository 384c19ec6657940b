"""Read CSV and other delimited text files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from rung.core.errors import DataError
from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.readers.dialect import Dialect, detect_dialect
from rung.data.sources import text_lines
from rung.data.sources.encoding import Encoding
from rung.data.sources.files import File
from rung.data.sources.rows import MAX_CELL, Reading, Table, UnreadableCell, header, plain, row_of
from rung.data.sources.text_lines import TextTable, decode_cell, lines, open_text, undecodable

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
_ROW_NAMES = "row_name"
# So many line numbers of each note are kept.
_MOST_NOTED = 20


class DelimitedTable(TextTable):
    """A table whose cells stand between delimiters, a row naming the columns."""

    def __init__(self, file: File, columns: tuple[str, ...], encoding: Encoding, dialect: Dialect) -> None:
        super().__init__(file, columns, encoding)
        self.dialect = dialect
        self.notes: dict[str, Any] = _first_notes(dialect)

    def rows(self) -> Iterator[Row]:
        self.notes = _first_notes(self.dialect)
        found = _Records(self.file, self.characters, self.dialect, len(self.columns), self.notes)
        name, columns, width, mixed = self.name, self.columns, len(self.columns), self.characters.mixed
        try:
            head = next(iter(found), ([], ""))[0]
            first = head[0] if head else None
            for number, (cells, problem) in enumerate(found, 1):
                # Spreadsheets end rows with delimiters that the header does not have.
                if len(cells) != width:
                    while len(cells) > width and not cells[-1]:
                        cells.pop()
                if len(cells) != width:
                    plural = "" if len(cells) == 1 else "s"
                    problem = problem or f"malformed: {len(cells)} cell{plural} where the header has {width}"
                elif cells[0] == first and cells == head:
                    problem = "repeated_header: the header stands here once more"
                if problem:
                    yield Row(self.name, number, None, problem, hash64("\x1f".join(cells)))
                elif mixed or max(map(len, cells)) > MAX_CELL:
                    yield row_of(name, number, columns, [self._decoded(cell) for cell in cells])
                else:
                    # The lengths are equal: `strict` would count them again.
                    yield Row(name, number, dict(zip(columns, cells)))  # noqa: B905
        except UnicodeError:
            raise undecodable(self.file, self.characters) from None

    def _decoded(self, cell: str) -> Any:
        """Return a cell of a file in more than one encoding; an UnreadableCell where it is in neither, or too long."""
        try:
            return plain(decode_cell(cell, self.characters))
        except UnicodeDecodeError:
            return UnreadableCell(f"undecodable: not {self.encoding} like most of the file", cell)


def open_table(file: File, reading: Reading) -> Table:
    """Return the table of a CSV, TSV or text file."""
    return open_text(file, reading.encoding, _open)


def _open(file: File, encoding: Encoding) -> TextTable:
    dialect = detect_dialect(lines(file, encoding), file.suffix in {".tsv", ".tab"})
    rows = iter(_Records(file, encoding, dialect, 0, {}))
    names, _ = next(rows, ([], ""))
    if not any(name.strip() for name in names):
        raise DataError("the file holds only blank lines", file.name, "It needs a header and rows.")
    names = [decode_cell(name, encoding) for name in names]
    columns = header([_ROW_NAMES, *names] if dialect.row_names else names, file.name)
    if next(rows, None) is None:
        raise DataError("there is a header but no row", file.name, "Add rows below the header.")
    return DelimitedTable(file, columns, encoding, dialect)


def _first_notes(dialect: Dialect) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if dialect.skip:
        found["skipped_lines"] = dialect.skip
    if dialect.row_names:
        found["row_names"] = True
    if dialect.escape:
        found["escaped_quotes"] = True
    return found


class _Records:
    """The records of a file that are not blank: their cells, and what is wrong with them, "" if nothing.

    A quote that belongs to the text opens a cell which ends at the next quote, many rows later. Such a line is read by
    itself, its quotes as text, and the rows after it as rows; `notes` gets its number. width: cells of a row; 0: the header
    is read.
    """

    def __init__(
        self, file: File, encoding: Encoding, dialect: Dialect, width: int, notes: dict[str, Any]
    ) -> None:
        csv.field_size_limit(text_lines.MAX_LINE)
        self._file, self._dialect, self._width, self._notes = file, dialect, width, notes
        self._source = lines(file, encoding)
        for _ in range(dialect.skip):
            next(self._source, None)
        self._waiting: list[str] = []
        self._taken: list[str] = []
        self._read, self._ended = dialect.skip, False
        self._reader = dialect.reader(self._lines())

    def __iter__(self) -> Iterator[tuple[list[str], str]]:
        return self

    def __next__(self) -> tuple[list[str], str]:
        while True:
            self._taken.clear()
            try:
                row = next(self._reader)
            except csv.Error:
                row = self._mended()
            else:
                # The reader asks for a line after the last one only when a quote is open.
                if self._ended and self._taken:
                    row = self._mended()
                elif len(self._taken) > 1 and self._dialect.looks_like_rows(self._taken, self._width):
                    row = self._first_alone()
            if row:
                damaged = any("\0" in line for line in self._taken)
                return row, "malformed: zero bytes, as damaged files hold" if damaged else ""

    def _lines(self) -> Iterator[str]:
        while True:
            if self._waiting:
                line = self._waiting.pop()
            else:
                found = next(self._source, None)
                if found is None:
                    self._ended = True
                    return
                line = found
            self._read += 1
            self._taken.append(line)
            yield line

    def _mended(self) -> list[str]:
        """Return a record whose quotes do not pair: its first line alone, or all of it read less strictly."""
        taken = self._taken
        if not taken:
            raise StopIteration
        # A quote that is open at the end may say that the file was cut off, unless others here belong to the text.
        fits = all(
            len(self._dialect.as_row(line)) == self._width for line in (taken if self._ended else taken[:1])
        )
        if fits and (not self._ended or "stray_quotes" in self._notes):
            return self._first_alone()
        if self._ended or sum(map(len, taken)) >= text_lines.MAX_LINE:
            begins = self._read - len(taken) + 1
            raise DataError(
                f"a quote opens in line {begins} and is never closed",
                self._file.name,
                'Close it, or double it where it belongs to the text: "".',
            )
        self._reader = self._dialect.reader(self._lines())
        return next(self._dialect.reader(iter(list(taken)), strict=False), [])

    def _first_alone(self) -> list[str]:
        """Return the cells of the first line that was taken; the others are read again."""
        first, *others = self._taken
        self._waiting += others[::-1]
        self._read -= len(others)
        self._ended = False
        noted = self._notes.setdefault("stray_quotes", {"lines": [], "count": 0})
        noted["count"] += 1
        if len(noted["lines"]) < _MOST_NOTED:
            noted["lines"].append(self._read)
        self._taken[:] = [first]
        self._reader = self._dialect.reader(self._lines())
        return self._dialect.as_row(first)
