"""Read one sheet of an Excel workbook (.xlsx, .xlsm)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any
from xml.etree import ElementTree

from rung.core.errors import DataError, MissingExtra, did_you_mean
from rung.core.files import sha256
from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.readers.sheet_header import Merged, merged_cells, read_header
from rung.data.sources.files import MOST_TIMES, MOST_UNPACKED, File
from rung.data.sources.rows import Reading, Table, UnreadableCell, header, plain, row_of

SUFFIXES = (".xlsx", ".xlsm")
_OLE = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_ERRORS = {"#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#GETTING_DATA"}
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=\"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})\"")
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")
_PIECE, _OVERLAP = 1 << 20, 200
# More merged cells than these are not needed to refuse a sheet.
_MOST_MERGED = 10_000
# Rows among which the header is looked for.
_HEAD = 30
_MOST_INDEX = 1 << 24


class ExcelTable(Table):
    """One sheet of a workbook. has_formulas: some cell does, so that each row's values are held against them. merged:
    its merged cells. header_row: as in the spec.
    """

    def __init__(
        self,
        file: File,
        sheet: str,
        has_formulas: bool,
        merged: Sequence[Merged] = (),
        header_row: int | None = None,
    ) -> None:
        self.file = file
        self.name = file.name
        self.sheet = sheet
        self.has_formulas = has_formulas
        first = list(islice(self._filled(), _HEAD if header_row is None else header_row + 1))
        if not first:
            raise DataError(
                f"the sheet '{sheet}' is empty",
                self.name,
                "It needs a header and rows, or name another `data.sheet`.",
            )
        found = read_header(first, merged, header_row, f"{self.name}, sheet '{sheet}'")
        self._last = found.last
        self.columns = header(found.names, self.name)
        self.notes = found.notes
        below = next((m for m in merged if m.bottom > found.last), None)
        if below:
            raise DataError(
                f"the cells {below.shown} of the sheet '{sheet}' are merged, so all but one of them are empty",
                file.name,
                "Unmerge them and fill each cell, then save.",
            )
        if next(self._below(), None) is None:
            raise DataError(
                f"the sheet '{sheet}' has a header but no row", self.name, "Add rows below the header."
            )

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
        for number, (values, formulas) in enumerate(self._raw(), 1):
            cells = [None if value in _ERRORS or value == "" else plain(value) for value in values]
            for place, formula in enumerate(formulas):
                if cells[place] is None and isinstance(formula, str) and formula.startswith("="):
                    problem = f"formula_without_value: {_letters(place)}{number} was never computed"
                    cells[place] = UnreadableCell(problem, formula)
            while cells and cells[-1] is None:
                cells.pop()
            if cells:
                yield number, cells

    def _raw(self) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Yield the values of each row, and beside them its formulas if the sheet has any."""
        with _workbook(self.file, values=True) as book:
            rows = _rows(book[self.sheet])
            if not self.has_formulas:
                yield from ((row, ()) for row in rows)
                return
            with _workbook(self.file, values=False) as other:
                yield from zip(rows, _rows(other[self.sheet]), strict=True)


def open_table(file: File, reading: Reading) -> Table:
    """Return the table of a sheet: the one asked for by name or number, else the first that is not hidden."""
    if file.packing:
        raise DataError(
            "a workbook is packed by itself", file.name, f"Unpack the {file.packing}, name what it holds."
        )
    with _archive(file) as archive:
        parts, hidden = _sheet_parts(archive, file)
        shown = [name for name in parts if name not in hidden] or list(parts)
        sheet = _chosen(list(parts), shown[0] if reading.sheet is None else reading.sheet, file.name)
        has_formulas, merged = _look_through(archive, parts[sheet])
    table = ExcelTable(file, sheet, has_formulas, merged, reading.header_row)
    others = [name for name in parts if name != sheet]
    if others and reading.sheet is None:
        table.notes = {**table.notes, "sheet": sheet, "others": others}
    return table


@contextmanager
def _archive(file: File) -> Iterator[zipfile.ZipFile]:
    """Yield the zip archive that a workbook is; raises DataError when it is none, locked, or a bomb."""
    with file.open() as stream:
        if stream.read(len(_OLE)) == _OLE:
            locked = _ENCRYPTED in stream.read(_MOST_INDEX)
            raise DataError(
                "the workbook is locked with a password"
                if locked
                else "this is an old Excel workbook (.xls)",
                file.name,
                "Save it without a password." if locked else "Save it as .xlsx.",
            )
    try:
        with zipfile.ZipFile(file.path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > max(MOST_UNPACKED, MOST_TIMES * file.path.stat().st_size):
                raise DataError(
                    f"it unpacks to {unpacked:,} bytes, more than {MOST_TIMES} times its size",
                    file.name,
                    "That is how decompression bombs look. Save the sheet as CSV.",
                )
            yield archive
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, EOFError, NotImplementedError) as error:
        raise _damaged(file, error) from None


def _sheet_parts(archive: zipfile.ZipFile, file: File) -> tuple[dict[str, str], set[str]]:
    """Return sheet -> the member of the archive that holds it, in the workbook's order, and which sheets are hidden."""

    def parsed(name: str) -> ElementTree.Element:
        with archive.open(name) as part:
            return ElementTree.fromstring(part.read(_MOST_INDEX))

    targets = {item.get("Id"): item.get("Target", "") for item in parsed("xl/_rels/workbook.xml.rels")}
    found, hidden = {}, set()
    for item in parsed("xl/workbook.xml").iter():
        link = next((value for key, value in item.items() if key.endswith("}id")), None)
        if item.tag.endswith("}sheet") and link in targets and "worksheets/" in targets[link]:
            target = targets[link]
            found[item.get("name", "")] = target[1:] if target.startswith("/") else f"xl/{target}"
            if item.get("state", "visible") != "visible":
                hidden.add(item.get("name", ""))
    if not found:
        raise DataError("the workbook has no sheet of cells", file.name, "It needs a sheet with a table.")
    return found, hidden


def _chosen(sheets: list[str], asked: str | int, name: str) -> str:
    if isinstance(asked, int):
        if 1 <= asked <= len(sheets):
            return sheets[asked - 1]
        listed = ", ".join(f"'{sheet}'" for sheet in sheets[:12])
        fix = f"By number there are 1 to {len(sheets)}; a name that is a number needs quotes. The sheets: {listed}."
        raise DataError(f"there is no sheet {asked} (data.sheet)", name, fix)
    if asked not in sheets:
        raise DataError(f"there is no sheet '{asked}' (data.sheet)", name, did_you_mean(asked, sheets))
    return asked


def _look_through(archive: zipfile.ZipFile, part: str) -> tuple[bool, list[Merged]]:
    """Return whether a sheet has formulas, and its merged cells, in one pass over its XML."""
    formulas, kept, merged = False, b"", dict[bytes, Merged]()
    with archive.open(part) as stream:
        while piece := stream.read(_PIECE):
            text = kept + piece
            for found in _MERGED.finditer(text):
                if len(merged) < _MOST_MERGED:
                    merged.setdefault(found[0], merged_cells(*(part.decode() for part in found.groups())))
            formulas = formulas or _FORMULA.search(text) is not None
            kept = text[-_OVERLAP:]
    return formulas, list(merged.values())


@contextmanager
def _workbook(file: File, values: bool) -> Iterator[Any]:
    """Yield an open workbook, its formulas or the values they had when it was saved."""
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError:
        raise MissingExtra("reading Excel workbooks", "excel", "openpyxl") from None
    damage = (
        InvalidFileException,
        zipfile.BadZipFile,
        ElementTree.ParseError,
        EOFError,
        KeyError,
        ValueError,
    )
    try:
        with file.open() as stream:
            book = load_workbook(stream, read_only=True, data_only=values, keep_links=False)
            try:
                yield book
            finally:
                book.close()
    except damage as error:
        raise _damaged(file, error) from None


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    # Some programs write a wrong size into the sheet: read what stands there.
    sheet.reset_dimensions()
    rows: Iterator[tuple[Any, ...]] = sheet.iter_rows(values_only=True)
    return rows


def _letters(place: int) -> str:
    """Return the letters of a column, counted from 0: A, B, ... Z, AA."""
    name = ""
    place += 1
    while place:
        place, left = divmod(place - 1, 26)
        name = chr(65 + left) + name
    return name


def _damaged(file: File, error: BaseException) -> DataError:
    reason = (str(error).strip("'\"").splitlines() or [type(error).__name__])[0].rstrip(".")
    fix = "Open it in Excel and save it again, or export the sheet as CSV."
    return DataError(f"this is no Excel workbook, or a damaged one: {reason[:200]}", file.name, fix)
