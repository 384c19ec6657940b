"""Find columns of 0 and 1 that are the labels of rows, and read them as one target: texts or images with several labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from rung.core.label_sets import set_labels, set_text
from rung.core.scalars import as_boolean
from rung.core.task import ColumnProfile, ColumnRoles, Task
from rung.core.types import Row
from rung.data.sources.read import Source, read_rows
from rung.data.sources.rows import Table
from rung.modalities.images.file_names import names_images
from rung.modalities.tables.task import is_row_name

# A column of prose, on average; categories and codes are shorter or few.
_PROSE_WORDS, _PROSE_CHARS = 3.0, 15.0
_FEWEST, _LOOKED_AT = 2, 5_000
# The share of rows that must have two labels and more: otherwise each has one, spread over columns.
_SEVERAL = 0.01


def label_columns(columns: Sequence[ColumnProfile], target: str) -> tuple[str, ...]:
    """Return the columns of 0 and 1 that can only be labels: beside them stands a column of texts or images, and nothing to predict.

    () where the user chose a target, where a column bears the name `target`, which the labels would take, or where another
    column holds values that repeat, or numbers that do not just count the rows.
    """
    if any(c.role == "target" or c.name == target for c in columns):
        return ()
    free = [c for c in columns if not c.role]
    marks = [c for c in free if _is_marks(c)]
    texts = [c for c in columns if c.role in {"", "input"} and c not in marks and _is_prose(c)]
    others = [c for c in free if c not in marks and c not in texts and _may_be_target(c)]
    return tuple(c.name for c in marks) if len(marks) >= _FEWEST and texts and not others else ()


def with_label_sets(source: Source, task: Task, roles: ColumnRoles) -> Source | None:
    """Return the source with the labels of each row in the column `roles.target`; None where hardly a row has several."""
    joined = replace(source, tables=tuple(_SetTable(table, task, roles) for table in source.tables))
    several = rows = 0
    for row in islice(read_rows(joined, ()), _LOOKED_AT):
        told = None if row.values is None else row.values.get(roles.target)
        if told is not None:
            rows, several = rows + 1, several + (len(set_labels(told)) > 1)
    return joined if rows and several >= _SEVERAL * rows else None


def _is_marks(column: ColumnProfile) -> bool:
    return column.distinct == 2 and all(as_boolean(text) is not None for text in column.examples)


def _may_be_target(column: ColumnProfile) -> bool:
    repeats = 2 <= column.distinct <= column.filled / 5
    return repeats or (column.numeric >= 0.9 and not is_row_name(column))


def _is_prose(column: ColumnProfile) -> bool:
    long = column.words >= _PROSE_WORDS or column.mean_chars >= _PROSE_CHARS
    return (long or names_images(column.examples)) and column.numeric < 0.5 and column.dates < 0.5


class _SetTable(Table):
    """A table whose label columns stand in one column, as the text of a set."""

    def __init__(self, table: Table, task: Task, roles: ColumnRoles) -> None:
        self._table, self._task, self._roles = table, task, roles
        self.name, self.encoding, self.folder = table.name, table.encoding, table.folder
        kept = tuple(name for name in table.columns if name not in roles.labels)
        self.columns = (*kept, roles.target)
        self.columns_are_all = table.columns_are_all

    @property
    def notes(self) -> Mapping[str, Any]:  # type: ignore[override]
        return self._table.notes

    def rows(self) -> Iterator[Row]:
        for row in self._task.reshape(self._table.rows(), self._roles):
            values = row.values
            if values is None:
                yield row
                continue
            found = values.get(self._roles.target)
            told = {self._roles.target: None if found is None else set_text(found)}
            kept = {name: value for name, value in values.items() if name not in self._roles.labels}
            yield row._replace(values=kept | told)

    def hashes(self) -> Iterator[tuple[str, str]]:
        return self._table.hashes()
