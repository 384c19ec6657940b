"""A source whose rows are made of several, as a plan looks at it: the rows that a build would make of its first ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from rung.core.task import ColumnProfile, ColumnRoles, Task
from rung.core.types import Row
from rung.data.sources.read import Source
from rung.data.sources.rows import Table

# Rows of the source that a plan makes rows of.
_MOST_ROWS = 200_000


def with_made_rows(source: Source, task: Task, roles: ColumnRoles) -> Source:
    """Return the source with the rows that the task makes of its first rows."""
    return replace(source, tables=tuple(_MadeTable(table, task, roles) for table in source.tables))


def column_profiles(source: Source, roles: ColumnRoles) -> tuple[list[ColumnProfile], int]:
    """Return a profile of each input and of the target of made rows, and how many rows there are; the values have no words."""
    filled = dict.fromkeys((*roles.inputs, roles.target), 0)
    rows = 0
    for table in source.tables:
        for row in table.rows():
            if row.values is not None:
                rows += 1
                for name in filled:
                    filled[name] += row.values.get(name) is not None
    return [ColumnProfile(name, n, n, 0.0, 0.0, ()) for name, n in filled.items()], rows


class _MadeTable(Table):
    """A table whose rows are those that a task makes of another's."""

    def __init__(self, table: Table, task: Task, roles: ColumnRoles) -> None:
        self._table, self._task, self._roles = table, task, roles
        self.name, self.encoding, self.folder = table.name, table.encoding, table.folder
        self.columns = (*filter(None, (roles.group,)), *roles.inputs, roles.target)
        self.columns_are_all = True

    @property
    def notes(self) -> Mapping[str, Any]:  # type: ignore[override]
        return self._table.notes

    def rows(self) -> Iterator[Row]:
        return self._task.reshape(islice(self._table.rows(), _MOST_ROWS), self._roles)

    def hashes(self) -> Iterator[tuple[str, str]]:
        return self._table.hashes()


def made_of(columns: Sequence[ColumnProfile], roles: ColumnRoles) -> bool:
    """Return whether inputs and target are no columns of the source: its rows are made of several."""
    names = {column.name for column in columns}
    return roles.target not in names and names.isdisjoint(roles.inputs)
