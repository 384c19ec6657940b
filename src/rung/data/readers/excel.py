"""Read one sheet of a workbook: Excel's .xlsx, .xlsm, .xlsb and .xls, and OpenDocument's .ods."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from rung.core.errors import DataError
from rung.core.files import sha256
from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.readers.sheet_header import Merged, letters_of, read_header, shown_cells
from rung.data.readers.sheet_parts import SheetParts, sheet_parts
from rung.data.readers.workbook import Sheet, read_sheet
from rung.data.sources.files import File
from rung.data.sources.rows import Reading, Table, UnreadableCell, header, plain, row_of

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
_ERRORS = {"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#GETTING_DATA"}
# Rows among which the header is looked for.
_HEAD = 30


class ExcelTable(Table):
    """One sheet of a workbook. parts: what it holds beside its values. header_row: as in the spec."""

    def __init__(self, file: File, sheet: Sheet, parts: SheetParts, header_row: int | None = None) -> None:
        self.file = file
        self.name = file.name
        self._sheet, self._never = sheet, parts.never_computed
        first = list(islice(self._filled(), _HEAD if header_row is None else header_row + 1))
        if not first:
            fix = "It needs a header and rows, or name another `data.sheet`."
            raise DataError(f"the sheet '{sheet.name}' is empty", self.name, fix)
        merged = _merged(sheet, parts)
        found = read_header(first, merged, header_row, f"{self.name}, sheet '{sheet.name}'")
        self._last = found.last
        self.columns = header(found.names, self.name)
        below = next((m for m in merged if m.bottom > found.last), None)
        if below:
            raise DataError(
                f"the cells {below.shown} of the sheet '{sheet.name}' are merged, so all but one of them are empty",
                file.name,
                "Unmerge them and fill each cell, then save.",
            )
        if next(self._below(), None) is None:
            raise DataError(
                f"the sheet '{sheet.name}' has a header but no row", self.name, "Add rows below the header."
            )
        self.notes = {**found.notes, **({"error_cells": parts.errors} if parts.errors else {})}

    def rows(self) -> Iterator[Row]:
        width = len(self.columns)
        for number, cells in enumerate(self._below(), 1):
            if len(cells) > width:
                problem = f"malformed: {len(cells)} cells where the header has {width}"
                yield Row(self.name, number, None, problem, hash64("\x1f".join(map(str, cells))))
            else:
                cells += [None] * (width - len(cells))
                yield row_of(self.name, number, self.columns, cells)

    def hashes(self) -> Iterator[tuple[str, str]]:
        yield self.name, sha256(self.file.path)

    def _below(self) -> Iterator[list[Any]]:
        """Yield the cells of each filled row below the header."""
        return (cells for number, cells in self._filled() if number > self._last)

    def _filled(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield number and cells of each row that has any, up to the last filled one."""
        for number, values, unfinished in self._raw():
            cells = [None if value in _ERRORS else plain(value) for value in values]
            for place in unfinished:
                cells += [None] * (place + 1 - len(cells))
                problem = f"formula_without_value: {letters_of(place + 1)}{number} was never computed"
                cells[place] = UnreadableCell(problem, "=")
            while cells and cells[-1] is None:
                cells.pop()
            if cells:
                yield number, cells

    def _raw(self) -> Iterator[tuple[int, list[Any], Sequence[int]]]:
        """Yield number and values of each row that has any, and where its formulas were never computed."""
        left = dict(self._never)
        waiting = deque(sorted(left))
        for number, values in self._sheet.rows():
            while waiting and waiting[0] < number:  # A row of nothing but formulas has no value.
                first = waiting.popleft()
                yield first, [], left[first]
            if waiting and waiting[0] == number:
                waiting.popleft()
            yield number, values, left.get(number, ())
        yield from ((number, [], left[number]) for number in waiting)


def open_table(file: File, reading: Reading) -> Table:
    """Return the table of a sheet: the one asked for by name or number, else the first that is not hidden."""
    if file.packing:
        raise DataError(
            "a workbook is packed by itself", file.name, f"Unpack the {file.packing}, name what it holds."
        )
    sheet = read_sheet(file, reading.sheet)
    table = ExcelTable(file, sheet, sheet_parts(file, sheet.name), reading.header_row)
    others = [name for name in sheet.sheets if name != sheet.name]
    if others and reading.sheet is None:
        hidden = [name for name in others if name in sheet.hidden]
        table.notes = {**table.notes, "sheet": sheet.name, "others": others, "hidden": hidden}
    return table


def _merged(sheet: Sheet, parts: SheetParts) -> list[Merged]:
    if parts.merged is not None:
        return parts.merged
    return [
        shown_cells(top + 1, left + 1, bottom + 1, right + 1)
        for top, left, bottom, right in sheet.merged or ()
    ]
