"""Cast staged text cells to the kinds of their columns: numbers, ISO 8601 dates, missing values.

Knows fields, not tasks: a schema without numbers, dates or categories passes through as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.kind import Kind, kind
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Field, Schema
from rung.data.prepare.parquet import row_groups
from rung.data.sources.read import open_source
from rung.data.sources.rows import Reading
from rung.modalities.tables.parsing import is_missing

# Training rows whose cells decide what a column is, spread over the whole source.
_SAMPLE_ROWS = 200_000


def with_inputs(product: Product, base: Path, task: Task) -> Product:
    """Return the product with the columns its task reads when the spec names none."""
    data = product.data
    if "input" in data.model_fields_set or task.default_inputs(("?",)) == data.input:
        return product
    source = open_source(data.paths, Reading(data.encoding, data.sheet, data.query, data.split), base)
    others = {data.target, data.group, data.time}
    names = task.default_inputs([name for name in source.columns if name not in others])
    return product.model_copy(update={"data": data.model_copy(update={"input": tuple(names)})})


def cells_of(
    staged: Path, schema: Schema, trains: npt.NDArray[np.bool_]
) -> Callable[[], dict[str, Counter[str]]]:
    """Return a function that counts the texts of each input column in a sample of the training rows."""

    def count() -> dict[str, Counter[str]]:
        every = max(int(trains.sum()) // _SAMPLE_ROWS, 1)
        found: dict[str, Counter[str]] = {name: Counter() for name in schema.input_names}
        begin = 0
        for group in row_groups(staged):
            places = np.flatnonzero(trains[begin : begin + len(group)])[::every]
            for name, counter in found.items():
                for pair in group[f"input:{name}"].take(places).value_counts().to_pylist():
                    counter[pair["values"]] += pair["counts"]
            begin += len(group)
        return found

    return count


def is_typed(field: Field, staged: Schema) -> bool:
    """Return whether a field found its kind in the data; one that had it from the start keeps its cells."""
    before = next(f for f in staged.inputs if f.name == field.name)
    casts = type(kind(field.kind)).cast is not Kind.cast
    return casts and "category" in {before.kind, field.kind}


@dataclass(frozen=True)
class Unread:
    """Staged rows that no served model would answer. bad: with a cell that is not of its column's kind; empty: with
    nothing left once all cells are read. counts: unreadable cells of each column."""

    bad: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.bool_]
    counts: dict[str, int]


def unreadable(path: Path, schema: Schema, staged: Schema) -> Unread | None:
    """Return which staged rows cannot be read in the columns' kinds; None when every column keeps its cells."""
    if not any(is_typed(field, staged) for field in schema.inputs):
        return None
    bads, empties, counts = [np.zeros(0, bool)], [np.zeros(0, bool)], Counter[str]()
    for group in row_groups(path):
        bad, empty = np.zeros(len(group), bool), np.ones(len(group), bool)
        for field in schema.inputs:
            cells = group[f"input:{field.name}"]
            if is_typed(field, staged):
                read, wrong = typed(field, cells)
                counts[field.name] += int(wrong.sum())
                bad |= wrong
                empty &= read.is_null().to_numpy(zero_copy_only=False)
            elif empty.any():
                empty &= np.array([is_missing(cell) for cell in cells.to_pylist()], dtype=bool)
        bads.append(bad)
        empties.append(empty & ~bad)
    return Unread(np.concatenate(bads), np.concatenate(empties), {name: n for name, n in counts.items() if n})


def typed(field: Field, cells: Any) -> tuple[Any, npt.NDArray[np.bool_]]:
    """Return a column of text as an Arrow array of the field's kind, and which cells could not be read.

    A word that the field knows to stand in place of a number is kept apart from it: the number is missing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = cells.combine_chunks() if hasattr(cells, "combine_chunks") else cells
    if kind(field.kind).is_number:
        plain = pc.match_substring_regex(cells, r"^-?\d+(\.\d+)?([eE][+-]?\d{1,2})?$")
        if pc.all(plain).as_py():
            return pc.cast(cells, pa.float64()), np.zeros(len(cells), bool)
    encoded = cells.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    read, bad = zip(*(_read(field, text) for text in encoded.dictionary.to_pylist()), strict=True)
    arrow = pa.float64() if kind(field.kind).is_number else pa.string()
    return pa.array(read, arrow).take(pa.array(codes)), np.array(bad, dtype=bool)[codes]


def _read(field: Field, text: str) -> tuple[Any, bool]:
    """Return a cell as its kind has it, None when it is missing; and whether it is neither."""
    try:
        return kind(field.kind).cast(field, text), False
    except ValueError:
        return None, True
