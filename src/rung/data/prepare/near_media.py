"""Near duplicates among media: rows whose vectors, as their kinds give them, point nearly the same way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob, BlobStore
from rung.core.kind import kind
from rung.core.types import Columns, Field
from rung.data.prepare.parquet import row_groups

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
# Rows compared with all others at a time: 64 MB of products with 16,000 rows.
_AT_ONCE = 1_000


def media_fields(fields: Iterable[Field]) -> list[Field]:
    """Return the fields of media."""
    return [field for field in fields if kind(field.kind).is_media]


def near_vectors(fields: Sequence[Field], columns: Columns) -> list[Floats]:
    """Return, for each media field, [rows, width]; a row without a vector is all zeros and near to nothing.

    [] where a field's kind gives no vectors at all.
    """
    found = []
    for field in fields:
        known = kind(field.kind)
        vectors = [known.near_vector(value) for value in columns[field.name]]
        width = next((len(vector) for vector in vectors if vector is not None), 0)
        if not width:
            return []
        blank = np.zeros(width, np.float32)
        found.append(np.stack([blank if vector is None else vector for vector in vectors]).astype(np.float32))
    return found


def measures_of(
    fields: Sequence[Field], columns: Columns, names: Sequence[str]
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Return the rows whose first media field has all these measures, and [rows, measures]."""
    column = columns[fields[0].name] if fields else []
    known = [
        (row, [float(blob.measures[name]) for name in names])
        for row, blob in enumerate(column)
        if isinstance(blob, Blob) and all(name in blob.measures for name in names)
    ]
    rows, values = [row for row, _ in known], [measured for _, measured in known]
    return np.array(rows, np.int64), np.array(values, np.float64).reshape(len(known), len(names))


def near_media_rows(
    staged: Path,
    fields: Sequence[Field],
    rows: npt.NDArray[np.bool_],
    others: npt.NDArray[np.bool_],
    store: BlobStore,
) -> Ints:
    """Return the places of `rows` in a staged table whose media nearly repeat those of one of `others`."""
    if not fields:
        return np.zeros(0, np.int64)
    mine, theirs = (_staged_vectors(staged, fields, wanted, store) for wanted in (rows, others))
    return np.flatnonzero(rows)[near_rows(fields, mine, theirs)]


def _staged_vectors(
    staged: Path, fields: Sequence[Field], wanted: npt.NDArray[np.bool_], store: BlobStore
) -> list[Floats]:
    """Return the vectors of wanted rows, field by field; [] where a kind has none."""
    parts: list[list[Floats]] = []
    begin = 0
    for group in row_groups(staged, [f"input:{field.name}" for field in fields]):
        places = np.flatnonzero(wanted[begin : begin + len(group)])
        begin += len(group)
        if len(places):
            cells = group.take(places).to_pydict()
            columns = {f.name: [_value(f, cell, store) for cell in cells[f"input:{f.name}"]] for f in fields}
            found = near_vectors(fields, columns)
            if not found:
                return []
            parts.append(found)
    return (
        [np.concatenate([part[number] for part in parts]) for number in range(len(fields))] if parts else []
    )


def _value(field: Field, cell: str, store: BlobStore) -> Any:
    return kind(field.kind).from_cell(cell, store) if cell else None


def near_rows(fields: Sequence[Field], rows: Sequence[Floats], others: Sequence[Floats]) -> Ints:
    """Return the rows that nearly repeat one of the others in every media field."""
    if not rows or not others:
        return np.zeros(0, np.int64)
    found = [_near(fields, rows, others, begin).any(axis=1) for begin in range(0, len(rows[0]), _AT_ONCE)]
    return np.flatnonzero(np.concatenate([*found, np.zeros(0, bool)]))


def near_pairs(fields: Sequence[Field], rows: Sequence[Floats]) -> tuple[Ints, Ints]:
    """Return (earlier row, later row) of near duplicates: each row with the first one that it nearly repeats."""
    first: list[int] = []
    second: list[int] = []
    for begin in range(0, len(rows[0]) if rows else 0, _AT_ONCE):
        near = _near(fields, rows, [part[: begin + _AT_ONCE] for part in rows], begin)
        here = np.arange(begin, begin + len(near))
        near &= np.arange(near.shape[1]) < here[:, None]
        later = np.flatnonzero(near.any(axis=1))
        first += near[later].argmax(axis=1).tolist()
        second += (later + begin).tolist()
    return np.array(first, np.int64), np.array(second, np.int64)


def _near(fields: Sequence[Field], rows: Sequence[Floats], others: Sequence[Floats], begin: int) -> Any:
    """Return [some rows from `begin` on, others]: whether the two are near in every field."""
    found: Any = None
    for field, mine, theirs in zip(fields, rows, others, strict=True):
        near = mine[begin : begin + _AT_ONCE] @ theirs.T >= kind(field.kind).near_least
        found = near if found is None else found & near
    return found
