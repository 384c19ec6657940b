"""Go through the records of an .xlsb sheet for what its parser does not tell: merged cells, and short records."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from rung.data.readers.sheet_header import Merged, shown_cells

_BUNDLE_SHEET, _MERGE_CELL = 156, 176
# Cells without a column number (BrtShortBlank to BrtShortIsst): few programs write them, and the parser passes them over.
_SHORT = range(12, 19)
_MOST_INDEX = 1 << 24
_MOST_MERGED = 10_000


def merged_of(archive: zipfile.ZipFile, sheet: str) -> list[Merged]:
    """Return the merged cells of a sheet; raises ValueError where its cells are written as short records."""
    found: list[Merged] = []
    with archive.open(_member_of(archive, sheet)) as stream:
        for kind, body in _records(stream):
            if kind in _SHORT:
                raise ValueError("its cells are written as short records, which are not read")
            if kind == _MERGE_CELL and len(found) < _MOST_MERGED:
                top, bottom, left, right = struct.unpack_from("<4I", body)
                found.append(shown_cells(top + 1, left + 1, bottom + 1, right + 1))
    return found


def _member_of(archive: zipfile.ZipFile, sheet: str) -> str:
    with archive.open("xl/_rels/workbook.bin.rels") as part:
        links = ElementTree.fromstring(part.read(_MOST_INDEX))
    targets = {item.get("Id"): item.get("Target", "") for item in links}
    with archive.open("xl/workbook.bin") as stream:
        for kind, body in _records(stream):
            if kind == _BUNDLE_SHEET:
                link, at = _text(body, 8)
                if _text(body, at)[0] == sheet:
                    target = targets[link]
                    return target[1:] if target.startswith("/") else f"xl/{target}"
    raise KeyError(f"the sheet '{sheet}' is not in its index")


def _text(body: bytes, at: int) -> tuple[str, int]:
    """Return a text that begins with the number of its characters, and where it ends."""
    (length,) = struct.unpack_from("<I", body, at)
    end = at + 4 + 2 * length
    return body[at + 4 : end].decode("utf-16-le"), end


def _records(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield kind and body of each record; both kind and length are written seven bits a byte, lowest first."""
    while first := stream.read(1):
        kind = first[0]
        if kind & 0x80:
            kind = (kind & 0x7F) | (stream.read(1) or b"\0")[0] << 7
        length = shift = 0
        for _ in range(4):
            part = (stream.read(1) or b"\0")[0]
            length |= (part & 0x7F) << shift
            shift += 7
            if not part & 0x80:
                break
        yield kind, stream.read(length)
