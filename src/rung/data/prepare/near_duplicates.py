"""Find training rows that nearly repeat a certification row. Targets are not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rung.core.activity import doing
from rung.core.blobs import BlobStore
from rung.core.kind import kind
from rung.core.types import Schema
from rung.data.prepare.keys import CERTIFICATION, TRAIN
from rung.data.prepare.near_media import media_fields, near_media_rows
from rung.data.prepare.parquet import row_groups
from rung.modalities.text.near_duplicates import LshIndex, MinHasher

Ints = npt.NDArray[np.int64]
# Rows from which shingles get their weights, spread over the source.
_SAMPLE = 50_000
# Texts that stand in memory with their index.
_INDEXED = 100_000


@doing("near")
def near_duplicate_rows(
    staged: Path, schema: Schema, side: npt.NDArray[np.int8], store: BlobStore, later: bool = False
) -> Ints:
    """Return the places, in the staged table, of training rows that are near duplicates of a certification row.

    side: of each staged row. The texts of 100,000 certification rows at a time stand in memory, those of training rows a group
    at a time. The training copy is what goes (`building.certify` speaks of unique units): which rows certify does not
    depend on it, and neither does any label. later: return the certification rows instead, by what training rows show
    alone (see `over_time.py`). store: of the media that rows name; media are compared where a row has no text.
    """
    fields = [field.name for field in schema.inputs if kind(field.kind).is_prose]
    train, certification = side == TRAIN, side == CERTIFICATION
    if not train.any() or not certification.any():
        return np.zeros(0, np.int64)
    if not fields:
        rows, others = (certification, train) if later else (train, certification)
        return near_media_rows(staged, media_fields(schema.inputs), rows, others, store)
    used = np.flatnonzero(train if later else train | certification)
    step = max(len(used) // _SAMPLE, 1)
    sampled = np.zeros(len(side), dtype=bool)
    sampled[used[::step]] = True
    sketcher = MinHasher([text for _, texts in _texts(staged, fields, sampled) for text in texts])
    if later:
        held = [text for _, texts in _texts(staged, fields, certification) for text in texts]
        return _copies_of_earlier(
            sketcher, held, np.flatnonzero(certification), _texts(staged, fields, train)
        )
    left = train.copy()
    for batch in _batches(_texts(staged, fields, certification)):
        index = LshIndex(sketcher, batch)
        for places, texts in _texts(staged, fields, left.copy()):
            left[places[index.find_duplicates(texts).right]] = False
    return np.flatnonzero(train & ~left)


def _copies_of_earlier(
    sketcher: MinHasher, held: list[str], places: Ints, earlier: Iterator[tuple[Ints, list[str]]]
) -> Ints:
    """Return the places of held texts that are near duplicates of an earlier one; some of the earlier are indexed at a time."""
    left = np.arange(len(held))
    for texts in _batches(earlier):
        if not len(left):
            break
        index = LshIndex(sketcher, texts)
        repeats = index.find_duplicates([held[i] for i in left.tolist()]).right
        left = np.delete(left, repeats)
    return np.delete(places, left)


def _batches(pieces: Iterator[tuple[Ints, list[str]]]) -> Iterator[list[str]]:
    batch: list[str] = []
    for _, texts in pieces:
        batch += texts
        if len(batch) >= _INDEXED:
            yield batch
            batch = []
    if batch:
        yield batch


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
