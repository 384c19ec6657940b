"""Tables in the terminal: fewer columns where they are narrow, never cut cells."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

# Spaces between two columns.
_GAP = 2


def table_that_fits(
    columns: Sequence[Sequence[str]],
    width: int,
    priority: Sequence[int],
    *,
    left: Collection[int] = (0,),
    always: int = 1,
    bold: Collection[int] = (),
) -> Table:
    """Return the columns that fit beside each other, whole.

    columns: head and cells of each. priority: places of columns, those to keep first; the first `always` are there at
    any width. left: places of columns with words. bold: rows to emphasise.
    """
    kept: list[int] = []
    for rank, place in enumerate(priority):
        wanted = [*kept, place]
        needed = sum(max(map(cell_len, columns[one])) for one in wanted) + _GAP * (len(wanted) - 1)
        if needed <= width or rank < always:
            kept = wanted
    shown = sorted(kept)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place in shown:
        head = escape(columns[place][0])
        table.add_column(head, justify="left" if place in left else "right", no_wrap=True)
    for row in range(1, len(columns[0])):
        cells = (escape(columns[place][row]) for place in shown)
        table.add_row(*cells, style="bold" if row - 1 in bold else None)
    return table
