"""What the parser of sheets does not tell: formulas that were never computed, cells that hold errors, merged cells.

Of .xlsx from the sheet's XML, of .ods from its content; of .xlsb from its records.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat

from rung.data.readers.sheet_header import Merged, place_of, shown_cells
from rung.data.readers.workbook import damaged
from rung.data.readers.xlsb_records import merged_of
from rung.data.sources.files import File

_FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")
_ERROR = re.compile(rb"<(?:\w+:)?c\s(?:[^<>]*\s)?t=\"e\"")
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_PIECE, _OVERLAP = 1 << 20, 200
_MOST_INDEX = 1 << 24
_DAMAGE = (
    zipfile.BadZipFile, KeyError, ElementTree.ParseError, expat.ExpatError, EOFError, NotImplementedError, ValueError,
    zlib.error, struct.error,
)  # fmt: skip


@dataclass
class SheetParts:
    """never_computed: row, from 1, -> columns, from 0, of formulas without a value. errors: cells such as #N/A. merged: None
    where the parser tells it.
    """

    never_computed: dict[int, list[int]] = field(default_factory=dict)
    errors: int = 0
    merged: list[Merged] | None = None


def sheet_parts(file: File, sheet: str) -> SheetParts:
    """Return what a sheet holds beside its values; raises DataError when the archive is damaged."""
    with file.open() as stream:
        if stream.read(2) != b"PK":
            return SheetParts()  # The old format: its formulas always have values.
    try:
        with zipfile.ZipFile(file.path) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" in names:
                return _of_xml(archive, _member_of(archive, sheet))
            if "xl/workbook.bin" in names:
                return SheetParts(merged=merged_of(archive, sheet))
            if "content.xml" in names:
                return SheetParts(merged=_of_content(archive, sheet))
    except _DAMAGE as error:
        raise damaged(file, error) from None
    return SheetParts()


def _member_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return the member of the archive that holds a sheet."""

    def parsed(name: str) -> ElementTree.Element:
        with archive.open(name) as part:
            return ElementTree.fromstring(part.read(_MOST_INDEX))

    targets = {item.get("Id"): item.get("Target", "") for item in parsed("xl/_rels/workbook.xml.rels")}
    for item in parsed("xl/workbook.xml").iter():
        link = next((value for key, value in item.items() if key.endswith("}id")), None)
        if item.tag.endswith("}sheet") and item.get("name") == sheet and link in targets:
            target = targets[link]
            return target[1:] if target.startswith("/") else f"xl/{target}"
    raise KeyError(f"the sheet '{sheet}' is not in its index")


def _of_xml(archive: zipfile.ZipFile, member: str) -> SheetParts:
    found, has_formulas, kept, cut = SheetParts(), False, b"", 0
    with archive.open(member) as stream:
        while piece := stream.read(_PIECE):
            text = kept + piece
            # What began in the part that was seen before is counted there.
            found.errors += sum(match.end() > cut for match in _ERROR.finditer(text))
            has_formulas = has_formulas or _FORMULA.search(text) is not None
            kept = text[-_OVERLAP:]
            cut = len(kept)
    if has_formulas:
        with archive.open(member) as stream:
            found.never_computed = _without_value(stream)
    return found


def _without_value(stream: IO[bytes]) -> dict[int, list[int]]:
    """Return the cells of a sheet that have a formula and no value. A text without characters is a value."""
    found: dict[int, list[int]] = {}
    row, column, inner = 0, -1, ""
    has_formula = has_value = False

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal row, column, inner, has_formula, has_value
        inner = tag.rpartition(":")[2]
        if inner == "row":
            row, column = int(attributes.get("r", row + 1)), -1
        elif inner == "c":
            reference = _REFERENCE.fullmatch(attributes.get("r", ""))
            column = place_of(reference[1]) - 1 if reference else column + 1
            has_formula, has_value = False, attributes.get("t") in ("str", "e")
        elif inner == "f":
            has_formula = True

    def text(characters: str) -> None:
        nonlocal has_value
        has_value = has_value or inner in ("v", "t")

    def end(tag: str) -> None:
        nonlocal inner
        inner = ""
        if tag.rpartition(":")[2] == "c" and has_formula and not has_value:
            found.setdefault(row, []).append(column)

    _parse(stream, start, end, text)
    return found


def _of_content(archive: zipfile.ZipFile, sheet: str) -> list[Merged]:
    """Return the merged cells of a sheet of an .ods file."""
    found: list[Merged] = []
    inside = False
    row = column = 0

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal inside, row, column
        if tag == "table:table":
            inside, row = attributes.get("table:name") == sheet, 0
        elif inside and tag == "table:table-row":
            row, column = row + 1, 0
            repeated.append(int(attributes.get("table:number-rows-repeated", 1)))
        elif inside and tag in ("table:table-cell", "table:covered-table-cell"):
            wide = int(attributes.get("table:number-columns-spanned", 1))
            tall = int(attributes.get("table:number-rows-spanned", 1))
            if wide > 1 or tall > 1:
                found.append(shown_cells(row, column + 1, row + tall - 1, column + wide))
            column += int(attributes.get("table:number-columns-repeated", 1))

    def end(tag: str) -> None:
        nonlocal inside, row
        if inside and tag == "table:table-row":
            row += repeated.pop() - 1
        elif tag == "table:table":
            inside = False

    repeated: list[int] = []
    with archive.open("content.xml") as stream:
        _parse(stream, start, end)
    return found


def _parse(
    stream: IO[bytes],
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None] | None = None,
) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.ParseFile(stream)
