"""Find, before a build, the column that says which rows of a source belong to one family."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

from rung.core.task import ColumnProfile, Guess
from rung.data.profile.related import RowTable, related
from rung.data.profile.roles import Role
from rung.data.sources.read import Source, read_rows

# Read from the beginning of the source: a look takes about a second.
_ROWS = 5_000
_FEWEST_VALUES = 20
# Longer cells are text that is compared word by word.
_PROSE_CHARS, _NUMERIC = 30, 0.95


def family_column(
    source: Source, guess: Guess, columns: Mapping[str, ColumnProfile], labelled: bool
) -> Role | None:
    """Return the column whose values tell families of related rows apart; None where rows show no relation by any.

    columns: by name. labelled: the target is a label, no number. Columns that are input are not proposed.
    """
    free = [
        c.name
        for c in columns.values()
        if c.name not in {*guess.inputs, guess.target} and _FEWEST_VALUES <= c.distinct <= c.filled / 1.5
    ]
    if not free:
        return None
    read = [row.values for row in islice(read_rows(source), _ROWS) if row.values is not None]
    rows = [row for row in read if plain_text(row.get(guess.target))]
    prose = [name for name in guess.inputs if _is_prose(columns[name])]
    numeric = [name for name in guess.inputs if name not in prose and columns[name].numeric >= _NUMERIC]
    cells: dict[str, list[Any]] = {
        name: [number_or_nan(row.get(name)) if name in numeric else plain_text(row.get(name)) for row in rows]
        for name in guess.inputs
        if name not in prose
    }
    texts = ["\n".join(plain_text(row.get(name)) for name in prose) for row in rows] if prose else []
    targets = [plain_text(row[guess.target]) for row in rows]
    labels = sorted(set(targets)) if labelled else []
    table = RowTable(texts, cells, numeric, targets, labels, [str(place) for place in range(len(rows))])
    found = related(table, lambda: {name: [plain_text(row.get(name)) for row in rows] for name in free})
    if found is None or found.group not in free:
        return None
    one = found.found
    return Role(
        found.group,
        f"tells families of related rows apart: a quick model reaches {one.plain:.2f} with relatives of a row in training, "
        f"{one.clustered:.2f} without",
        decided=True,
    )


def _is_prose(column: ColumnProfile) -> bool:
    return column.mean_chars >= _PROSE_CHARS and column.numeric < 0.5


def plain_text(cell: Any) -> str:
    """Return a cell as text; what is missing is empty."""
    return "" if cell is None else str(cell).strip()


def number_or_nan(cell: Any) -> float:
    """Return a cell as a number; NaN where it is none."""
    try:
        return float(plain_text(cell))
    except ValueError:
        return math.nan
