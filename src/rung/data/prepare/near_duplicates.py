"""Find training rows that nearly repeat a certification row. Targets are not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rung.core.kind import kind
from rung.core.types import Schema
from rung.data.prepare.parquet import row_groups
from rung.data.prepare.split import CERTIFICATION, TRAIN
from rung.modalities.text.near_duplicates import LshIndex, MinHasher

Ints = npt.NDArray[np.int64]
# Rows from which shingles get their weights, spread over the source.
_SAMPLE = 50_000


def near_copies(staged: Path, schema: Schema, side: npt.NDArray[np.int8]) -> Ints:
    """Return the places, in the staged table, of training rows that are near duplicates of a certification row.

    side: of each staged row. The texts of certification rows stand in memory, those of training rows a group at a
    time. The training copy is what goes (`stages.certify` speaks of unique units): which rows certify does not
    depend on it, and neither does any label.
    """
    fields = [field.name for field in schema.inputs if kind(field.kind).is_prose]
    train, certification = side == TRAIN, side == CERTIFICATION
    if not fields or not train.any() or not certification.any():
        return np.zeros(0, np.int64)
    used = np.flatnonzero(train | certification)
    step = max(len(used) // _SAMPLE, 1)
    sampled = np.zeros(len(side), dtype=bool)
    sampled[used[::step]] = True
    sketcher = MinHasher([text for _, texts in _texts(staged, fields, sampled) for text in texts])
    index = LshIndex(sketcher, [text for _, texts in _texts(staged, fields, certification) for text in texts])
    found = [places[index.find_duplicates(texts).right] for places, texts in _texts(staged, fields, train)]
    return np.concatenate([*found, np.zeros(0, np.int64)])


def _texts(
    staged: Path, fields: list[str], wanted: npt.NDArray[np.bool_]
) -> Iterator[tuple[Ints, list[str]]]:
    """Yield the places of wanted rows and their texts, a row group at a time."""
    begin = 0
    for group in row_groups(staged, [f"input:{name}" for name in fields]):
        places = begin + np.flatnonzero(wanted[begin : begin + len(group)])
        begin += len(group)
        if len(places):
            columns = group.take(places - (begin - len(group))).to_pydict().values()
            yield places, ["\n".join(cells) for cells in zip(*columns, strict=True)]
