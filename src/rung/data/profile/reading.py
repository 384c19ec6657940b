"""What a plan says about reading the data: columns that cannot be read, formats of the others, dialects of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from rung.core.activity import doing
from rung.core.errors import RungError
from rung.core.kind import kind
from rung.core.spec.data import DataSpec
from rung.core.spec.product import Product
from rung.core.task import ColumnProfile, Task
from rung.core.types import Field
from rung.data.prepare.cast import unreadable_columns
from rung.data.prepare.column_formats import SourceFormats, shown_formats
from rung.data.profile.columns import profile
from rung.data.profile.roles import with_roles
from rung.data.profile.summary import Survey
from rung.data.sources.read import Source
from rung.modalities.tables.cells import category_of, number_of
from rung.training.tables.features import useless_category, useless_number


@doing("read")
def readable_columns(
    source: Source, asked: DataSpec, given: Mapping[str, Any], most_rows: int
) -> tuple[list[ColumnProfile], int, dict[str, str]]:
    """Return the columns that can be read, the rows looked at, and the other columns with what is wrong with them.

    given: keys of the spec's `data` that the user chose; a column that they name stays.
    """
    left_out = unreadable_columns(source, [(name, kind("category")) for name in source.columns])
    # Lists are no cells of tables; those of boxes are what an image is answered with.
    boxes = unreadable_columns(source, [(name, kind("boxes")) for name in left_out])
    left_out = {name: why for name, why in left_out.items() if name in boxes}
    columns, rows = profile(source, most_rows)
    readable = [column for column in columns if column.name not in left_out or column.name in _named(given)]
    return with_roles(readable, source, asked, given), rows, left_out


def reading_facts(
    seen: Survey, task: Task, product: Product, formats: SourceFormats, source: Source
) -> dict[str, Any]:
    """Return how the data was read, as far as the rows looked at show it: formats of columns, words, dialects."""
    schema = task.schema(product.data.input, list(seen.labels))
    schema = replace(schema, outputs=formats.schema.outputs)
    # What is wrong with the data is said by the plan's lights, and by the build.
    with suppress(RungError):
        schema = task.described(schema, seen.labels, lambda: seen.cells, {})
    return {
        "formats": shown_formats(schema, formats, product),
        "missing_words": seen.missing_words,
        "columns_unused": _unused(schema.inputs, seen.cells),
        "dialects": {table.name: dict(table.notes) for table in source.tables if table.notes},
    }


def _unused(fields: Sequence[Field], cells: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Return column -> why models of tables leave it out, as far as the rows looked at show it."""
    found = {}
    for field in fields:
        column = cells.get(field.name, {})
        if field.kind == "number":
            numbers = [_number(field, text) for text in column]
            found[field.name] = useless_number(field, np.repeat(numbers, list(column.values())))
        elif field.kind == "category":
            counts: Counter[str] = Counter()
            for text, n in column.items():
                word = category_of(field, text)
                counts.update({word: n} if word is not None else {})
            found[field.name] = useless_category(field, counts, sum(column.values()))
    return {name: why for name, why in found.items() if why}


def _number(field: Field, text: str) -> float:
    """Return the number of a cell, NaN where it is missing or none."""
    with suppress(ValueError):
        found = number_of(field, text)
        return np.nan if found is None else found
    return np.nan


def _named(given: Mapping[str, Any]) -> set[str]:
    """Return the columns that the user chose."""
    inputs = given.get("input") or ()
    chosen = (inputs,) if isinstance(inputs, str) else inputs
    return {*chosen, *(given.get(key) for key in ("target", "group", "time"))}
