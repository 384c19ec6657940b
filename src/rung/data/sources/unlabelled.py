"""Rows without labels of a table, for models that learn from another's answers: none is a row of the product."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rung.core.errors import DataError
from rung.core.spec.data import DataSpec
from rung.core.task import Task
from rung.core.types import Examples
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading

FEWEST = 50


def unlabelled_rows(
    path: Path, data: DataSpec, task: Task, known: Iterable[Examples], base: Path | None = None
) -> dict[str, list[Any]]:
    """Return the different rows of a table that are not among the known ones, column by column.

    path: of the table, from `base` on. data: how its columns are called and read. Raises DataError for fewer than 50.
    """
    source = open_source((str(path),), Reading.of(data, data.encoding), base or Path.cwd())
    for column in data.input:
        source.require(column, "data.input")
    seen = {task.dedup_key(row) for part in known for row in part.records()}
    rows: dict[str, list[Any]] = {name: [] for name in data.input}
    for row in read_rows(source):
        cells = {name: (row.values or {}).get(name) for name in data.input}
        if row.values is None or task.refuse_input(cells) or (key := task.dedup_key(cells)) in seen:
            continue
        seen.add(key)
        for name, cell in cells.items():
            rows[name].append(cell)
    count = len(next(iter(rows.values())))
    if count < FEWEST:
        fix = "Collect more; rows that are also among the labelled ones do not count."
        raise DataError(f"{count} rows can be asked about; {FEWEST} are needed", str(path), fix)
    return rows
