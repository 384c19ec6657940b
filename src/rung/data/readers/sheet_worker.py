"""Read one sheet of a workbook in a process of its own: `python sheet_worker.py PATH SHEET`.

A workbook is parsed whole, by code that ends the process when memory does: so it is a child's, with a limit. It imports
nothing of this package. Lines of JSON are written: a mapping with the sheets, one with the merged cells of the sheet,
then number and cells of each row that has any. A mapping with `error` stands for what could not be read.
"""

from __future__ import annotations

import json
import sys
from datetime import date, datetime, time, timedelta
from typing import Any

_MOST_MEMORY = 4 << 30
# More merged cells than these are not needed to refuse a sheet.
_MOST_MERGED = 10_000
_MOST_WHOLE = float(1 << 63)


def main(path: str, asked: str) -> None:
    """Write a sheet. asked: JSON, the name of a sheet, its number from 1, or null for the first that is shown."""
    _limit_memory()
    try:
        _write_sheet(path, json.loads(asked))
    except MemoryError:
        raise
    except BaseException as error:  # A panic of the parser is no Exception.
        kind = type(error).__name__
        _put({"error": "locked" if kind == "PasswordError" else "damaged", "reason": str(error) or kind})


def _write_sheet(path: str, asked: Any) -> None:
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    # A stream is read as what it is, whatever its name says.
    with open(path, "rb") as stream:  # noqa: PTH123
        book = CalamineWorkbook.from_filelike(stream)
    sheets = [each for each in book.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    names = [each.name for each in sheets]
    shown = [each.name for each in sheets if each.visible == SheetVisibleEnum.Visible]
    chosen: str | None
    if asked is None:
        chosen = next(iter(shown or names), None)
    elif isinstance(asked, int):
        chosen = names[asked - 1] if 1 <= asked <= len(names) else None
    else:
        chosen = asked if asked in names else None
    _put({"sheets": names, "hidden": [name for name in names if name not in shown], "sheet": chosen})
    if chosen is None:
        return
    sheet = book.get_sheet_by_name(chosen)
    merged = sheet.merged_cell_ranges
    _put({"merged": None if merged is None else merged[:_MOST_MERGED]})
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = [_plain(cell) for cell in row]
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            _put([number, cells])


def _plain(cell: Any) -> Any:
    """Return a cell as JSON knows it: whole numbers as int, dates in ISO 8601 with their midnight."""
    kind = type(cell)
    if kind is str:
        return cell or None
    if kind is float:
        return int(cell) if cell.is_integer() and abs(cell) < _MOST_WHOLE else cell
    if kind is date:
        return f"{cell.isoformat()}T00:00:00"
    if kind is datetime or kind is time:
        return cell.isoformat()
    return str(cell) if kind is timedelta else cell


def _put(value: Any) -> None:
    sys.stdout.buffer.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")


def _limit_memory() -> None:
    try:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(_MOST_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    except (ImportError, ValueError, OSError):
        return  # A system without such limits.


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
