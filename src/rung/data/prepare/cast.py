"""Cast staged text cells to the kinds of their columns: numbers, ISO 8601 dates, missing values.

Knows fields, not tasks: a schema without numbers, dates or categories passes through as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import MemoryStore
from rung.core.kind import Kind, kind
from rung.core.scalars import is_missing
from rung.core.source_place import SourcePlace
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Field, Schema
from rung.data.prepare.parquet import row_groups
from rung.data.sources.read import Source, open_source, read_rows
from rung.data.sources.rows import Reading

# Training rows whose cells decide what a column is, spread over the whole source.
_SAMPLE_ROWS = 200_000
# Rows that decide whether a column can be read at all.
_FIRST_ROWS = 1_000


def with_inputs(product: Product, base: Path, task: Task) -> Product:
    """Return the product with the columns its task reads when the spec names none: all that hold values it can read."""
    if task.default_target and "target" not in product.data.model_fields_set:
        own_target = product.data.model_copy(update={"target": task.default_target})
        product = product.model_copy(update={"data": own_target})
    data = product.data
    if not _takes_all(product, task):
        own = task.default_inputs(("?",))
        if "input" in data.model_fields_set or own == data.input:
            return product
        # A column that the task's kind of data has, such as the image of a folder of images.
        return product.model_copy(update={"data": data.model_copy(update={"input": own})})
    source = open_source(data.paths, Reading.of(data, data.encoding), base)
    names = task.default_inputs(_free_columns(source, product))
    unusable = unusable_columns(source, product, task)
    chosen = tuple(name for name in names if name not in unusable) or tuple(names)
    # The spec did not name them: `unusable_columns` still says which were left out.
    named = data.model_copy(update={"input": chosen})
    named.__pydantic_fields_set__.discard("input")
    return product.model_copy(update={"data": named})


def _takes_all(product: Product, task: Task) -> bool:
    """Return whether the task reads whatever columns there are, since the spec names none."""
    return "input" not in product.data.model_fields_set and task.default_inputs(("?",)) == ("?",)


def _free_columns(source: Source, product: Product) -> list[str]:
    data = product.data
    others = {data.target, data.group, data.time, *data.label_columns}
    return [name for name in source.columns if name not in others]


def unusable_columns(source: Source, product: Product, task: Task) -> dict[str, str]:
    """Return the columns that a task which reads all columns must leave out, and why: their cells are of no kind it reads.

    A column is left out where most of its filled cells among the first rows cannot be read; {} where the spec names inputs.
    """
    if not _takes_all(product, task):
        return {}
    names = task.default_inputs(_free_columns(source, product))
    return unreadable_columns(source, [(f.name, kind(f.kind)) for f in task.schema(names, []).inputs])


def unreadable_columns(source: Source, fields: Sequence[tuple[str, Kind]]) -> dict[str, str]:
    """Return the columns whose cells are mostly of no kind that can be read, and why."""
    place = SourcePlace(MemoryStore())
    filled: Counter[str] = Counter()
    wrong: dict[str, Counter[str]] = {name: Counter() for name, _ in fields}
    for row in islice(read_rows(source, ()), _FIRST_ROWS):
        values, problems = row.values or {}, row.unreadable or {}
        for name, known in fields:
            cell, problem = values.get(name), problems.get(name, "")
            if isinstance(cell, list | dict):
                try:
                    known.parse(cell, place)
                except ValueError as error:
                    problem = str(error)
            if cell is not None or problem:
                filled[name] += 1
                wrong[name][problem] += bool(problem)
    return {
        name: max(found, key=lambda text: (found[text], text))
        for name, found in wrong.items()
        if found.total() > 0.5 * filled[name]
    }


def count_cells(
    staged: Path, schema: Schema, trains: npt.NDArray[np.bool_]
) -> Callable[[], dict[str, Counter[str]]]:
    """Return a function that counts the texts of each input column in a sample of the training rows."""

    def count() -> dict[str, Counter[str]]:
        every = max(int(trains.sum()) // _SAMPLE_ROWS, 1)
        found: dict[str, Counter[str]] = {name: Counter() for name in schema.input_names}
        begin = 0
        sampled = np.zeros(len(trains), bool)
        sampled[np.flatnonzero(trains)[::every]] = True
        for group in row_groups(staged):
            places = np.flatnonzero(sampled[begin : begin + len(group)])
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
class UnreadableCells:
    """Staged rows that no served model would answer. bad: with a cell that is not of its column's kind; empty: with
    nothing left once all cells are read. counts: unreadable cells of each column."""

    bad: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.bool_]
    counts: dict[str, int]


def unreadable(path: Path, schema: Schema, staged: Schema) -> UnreadableCells | None:
    """Return which staged rows cannot be read in the columns' kinds; None when every column keeps its cells."""
    if not any(is_typed(field, staged) for field in schema.inputs):
        return None
    bads, empties, counts = [np.zeros(0, bool)], [np.zeros(0, bool)], Counter[str]()
    for group in row_groups(path):
        bad, empty = np.zeros(len(group), bool), np.ones(len(group), bool)
        for field in schema.inputs:
            cells = group[f"input:{field.name}"]
            if is_typed(field, staged):
                read, wrong = parse_column(field, cells)
                counts[field.name] += int(wrong.sum())
                bad |= wrong
                empty &= read.is_null().to_numpy(zero_copy_only=False)
            elif empty.any():
                empty &= np.array([is_missing(cell) for cell in cells.to_pylist()], dtype=bool)
        bads.append(bad)
        empties.append(empty & ~bad)
    return UnreadableCells(
        np.concatenate(bads), np.concatenate(empties), {name: n for name, n in counts.items() if n}
    )


def parse_column(field: Field, cells: Any) -> tuple[Any, npt.NDArray[np.bool_]]:
    """Return a column of text as an Arrow array of the field's kind, and which cells could not be read.

    A word that the field knows to stand in place of a number or a date is kept apart from it: the value is missing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = cells.combine_chunks() if hasattr(cells, "combine_chunks") else cells
    if kind(field.kind).is_number:
        # A point may be a thousand mark where the column's decimal mark is a comma.
        has_comma = field.format is not None and field.format.decimal == ","
        fraction = "" if has_comma else r"(\.\d+)?"
        plain = pc.match_substring_regex(cells, rf"^-?\d+{fraction}([eE][+-]?\d{{1,2}})?$")
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
