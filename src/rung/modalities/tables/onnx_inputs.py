"""Feed rows of a table to an ONNX model: an input for each column, as scikit-learn's pipelines have, or one of all numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.core.errors import RungError, did_you_mean
from rung.core.types import Columns, Field
from rung.runtime.onnx.inputs import NUMBERS, Batch, listed

_TEXT = "tensor(string)"
_FLOATS = {name: kind for name, kind in NUMBERS.items() if np.issubdtype(kind, np.floating)}
_BATCH_ROWS = 1_024
_SHAPES = (
    "Each column goes in as an input of its name, [rows, 1]: numbers as float, words and dates as string. Columns of numbers "
    "alone may go in as one float input [rows, columns], in the order of `data.input`."
)


@dataclass(frozen=True)
class TableReader:
    """Feeds cells. inputs: input of the model -> the fields it reads, its rank, and its type of numbers; None for words."""

    inputs: Mapping[str, tuple[tuple[str, ...], int, type | None]]

    def batches(self, inputs: Columns, alone: bool) -> Iterator[Batch]:
        count = len(next(iter(inputs.values()), ()))
        size = 1 if alone else _BATCH_ROWS
        for start in range(0, count, size):
            rows = list(range(start, min(start + size, count)))
            yield (
                rows,
                {
                    name: _tensor([inputs[field][start : rows[-1] + 1] for field in fields], rank, kind)
                    for name, (fields, rank, kind) in self.inputs.items()
                },
            )


def table_reader(inputs: Sequence[Any], fields: Sequence[Field], where: str) -> TableReader:
    """Return the reader for a session with such inputs; fields: the product's. Columns that the file does not read are left out.

    Raises RungError when an input is no column of the product, or of another type.
    """
    known = {field.name: field for field in fields}
    if len(inputs) == 1 and inputs[0].name not in known:
        return TableReader({inputs[0].name: _matrix(inputs[0], fields, where)})
    found: dict[str, tuple[tuple[str, ...], int, type | None]] = {}
    for item in inputs:
        if item.name not in known:
            raise RungError(
                f"the file reads '{item.name}', and the product has no column of that name",
                where,
                f"{did_you_mean(item.name, list(known))} {_SHAPES}",
            )
        found[item.name] = ((item.name,), len(item.shape), _type_of(item, known[item.name], where))
    return TableReader(found)


def _matrix(item: Any, fields: Sequence[Field], where: str) -> tuple[tuple[str, ...], int, type]:
    words = [field.name for field in fields if field.kind != "number"]
    width = item.shape[1] if len(item.shape) == 2 else 0
    fits = not isinstance(width, int) or width == len(fields)
    if words or item.type not in _FLOATS or not fits:
        reason = f"'{words[0]}' holds no numbers" if words else f"there are {len(fields)} columns"
        raise RungError(f"the file reads {listed([item])} for all columns, and {reason}", where, _SHAPES)
    return tuple(field.name for field in fields), 2, _FLOATS[item.type]


def _type_of(item: Any, field: Field, where: str) -> type | None:
    """Return the type of an input's numbers, None of words."""
    wanted = _FLOATS if field.kind == "number" else {_TEXT: None}
    column = len(item.shape) == 1 or (len(item.shape) == 2 and item.shape[1] in (1, None))
    if item.type not in wanted or not (column or isinstance(item.shape[-1], str)):
        holds = "numbers" if field.kind == "number" else "words"
        raise RungError(
            f"the column '{field.name}' holds {holds}, and the file reads {listed([item])}", where, _SHAPES
        )
    return wanted[item.type]


def _tensor(columns: Sequence[Sequence[Any]], rank: int, kind: type | None) -> Any:
    """Return [rows, columns] or [rows]; what is missing is NaN, or the empty text."""
    if kind is None:
        cells = [["" if cell is None else str(cell) for cell in column] for column in columns]
        found = np.array(cells, dtype=object).T
    else:
        numbers = [[np.nan if cell is None else float(cell) for cell in column] for column in columns]
        # A number beyond the type's range is infinite; what the model makes of it is no number, and said to be even odds.
        with np.errstate(over="ignore"):
            found = np.array(numbers, dtype=np.float64).astype(kind).T
    return found[:, 0] if rank == 1 else found
