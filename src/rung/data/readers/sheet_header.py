"""Find the header of a sheet: below titles, and in two rows where cells of the upper one are merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.core.errors import DataError


@dataclass(frozen=True)
class Merged:
    """Merged cells: rows and columns, counted from 1."""

    top: int
    left: int
    bottom: int
    right: int
    shown: str


@dataclass(frozen=True)
class SheetHeader:
    """names: of the columns. last: the last row of the header, from 1. notes: what was out of the ordinary."""

    names: tuple[str, ...]
    last: int
    notes: Mapping[str, Any] = field(default_factory=dict)


def shown_cells(top: int, left: int, bottom: int, right: int) -> Merged:
    """Return merged cells; rows and columns from 1."""
    return Merged(top, left, bottom, right, f"{letters_of(left)}{top}:{letters_of(right)}{bottom}")


def read_header(
    first: Sequence[tuple[int, Sequence[Any]]], merged: Sequence[Merged], asked: int | None, where: str
) -> SheetHeader:
    """Return the header of a sheet. first: number and cells of its first filled rows. asked: `data.header_row`.

    Without it, rows of one cell above wider ones are titles (of two cells, where the widest has five or more). A merged
    cell in the header that spans columns, or that row and the next, makes two rows of it, whose names are joined.
    """
    by_number = dict(first)
    if asked is not None and asked not in by_number:
        raise DataError(
            f"row {asked} is empty or below the sheet (data.header_row)", where, "Rows count from 1."
        )
    top = asked or _first_wide(first)
    skipped = sum(number < top for number in by_number)
    notes: dict[str, Any] = {"skipped_lines": skipped} if skipped else {}
    upper, lower = list(by_number[top]), by_number.get(top + 1)
    wide = [m for m in merged if m.top == m.bottom == top and m.right > m.left]
    tall = [m for m in merged if m.top == top and m.bottom == top + 1]
    if lower is None or not (wide or tall):
        return SheetHeader(tuple(map(_text, upper)), top, notes)
    width = max(len(upper), len(lower), *(m.right for m in wide))
    above, below = ([*map(_text, row), *[""] * (width - len(row))] for row in (upper, lower))
    for m in [*wide, *tall]:
        above[m.left - 1 : m.right] = [above[m.left - 1]] * (m.right - m.left + 1)
    names = tuple(" ".join(filter(None, pair)) for pair in zip(above, below, strict=True))
    return SheetHeader(names, top + 1, notes | {"header_rows": [top, top + 1]})


def _first_wide(first: Sequence[tuple[int, Sequence[Any]]]) -> int:
    """Return the number of the first row that is no title."""
    filled = {number: sum(cell is not None for cell in cells) for number, cells in first}
    widest = max(filled.values())
    most = min(widest - 1, 2 if widest >= 5 else 1)
    wide = [number for number, count in filled.items() if count > most]
    # A stray cell beside a table of one column makes no title of its header.
    return (
        wide[0]
        if 2 * len(wide) > sum(number >= wide[0] for number in filled) and len(wide) > 1
        else first[0][0]
    )


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def place_of(letters: str) -> int:
    """Return the number of a column, from 1, that is called A, B, ... Z, AA."""
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - 64
    return place


def letters_of(place: int) -> str:
    """Return what the column of a number, from 1, is called."""
    name = ""
    while place:
        place, left = divmod(place - 1, 26)
        name = chr(65 + left) + name
    return name
