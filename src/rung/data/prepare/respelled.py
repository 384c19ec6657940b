"""Notice rows that were used before and are now spelled otherwise: rounded, marked up, in another order of columns.

certificate.lock knows rows by hashes of their content, so it forgets looks at rows whose spelling changes. It therefore
also keeps a sketch of up to 512 rows of each source: of each row 16 minima of hashes over its words and numbers
(MinHash; Broder 1997). Words count in lower case, without markup, whatever column they stand in; numbers by their first
two digits; what stands in many rows, such as a prefix, does not count. Two rows agree in a slot with the Jaccard
similarity of their words. A row of an old sketch was spelled otherwise if its unit is gone and a row of a unit that is new
agrees with it in 11 slots. Tables whose rows resemble each other that much say nothing: then nothing is claimed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt

from rung.core.certificate_lock import CertificateLock, RowSketch
from rung.core.kind import kind
from rung.core.types import Schema
from rung.data.prepare.keys import CERTIFICATION, HELD, TRAIN, Keys
from rung.data.prepare.parquet import row_groups

Hashes = npt.NDArray[np.uint64]
_SLOTS, _AGREE, _KEPT, _MOST_ROWS = 16, 11, 512, 20_000
# Words of more rows than this share do not count, unless nothing else is left.
_COMMON = 0.1
_FEWEST_WORDS, _CHARS = 3, 2_000
# Of an old sketch's rows so many must be there again, spelled otherwise; so many at most may resemble others of their own.
_LEAST_SHARE, _MOST_ALIKE = 0.2, 0.1
_MARKUP, _WORD = re.compile(r"<[^<>]{1,80}>"), re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def sketch_rows(staged: Path, schema: Schema, keys: Keys, side: npt.NDArray[np.int8]) -> RowSketch:
    """Return a sketch of the rows that train or certify, at most 20,000 of them, spread evenly; of media nothing."""
    names = [f"input:{field.name}" for field in schema.inputs if not kind(field.kind).is_media]
    used = np.flatnonzero((side == TRAIN) | (side == CERTIFICATION) | (side == HELD))
    used = used[:: max(math.ceil(len(used) / _MOST_ROWS), 1)]
    if not names or not len(used):
        return RowSketch.empty()
    words: list[set[int]] = []
    begin = 0
    for group in row_groups(staged, names):
        mine = used[(used >= begin) & (used < begin + len(group))] - begin
        begin += len(group)
        columns = group.take(mine).to_pydict().values()
        words += [_words(cells) for cells in zip(*columns, strict=True)]
    counts: Counter[int] = Counter(word for row in words for word in row)
    most = max(_COMMON * len(words), 2)
    rare = [{word for word in row if counts[word] <= most} for row in words]
    told = [i for i, row in enumerate(rare) if len(row) >= _FEWEST_WORDS]
    slots = np.array([_minima(rare[i]) for i in told], np.uint16).reshape(-1, _SLOTS)
    return RowSketch(keys.unit[used[told]], slots)


def respelled_share(old: RowSketch, now: RowSketch) -> float:
    """Return which share of an old sketch's rows are there now with another spelling only; 0 where rows are too alike to tell."""
    gone = ~np.isin(old.rows, now.rows)
    new = now.slots[~np.isin(now.rows, old.rows)]
    if len(old.rows) < 20 or gone.mean() < _LEAST_SHARE or not len(new):
        return 0.0
    alike = np.array([(old.slots == row).sum(axis=1) >= _AGREE for row in old.slots]).sum(axis=1) > 1
    if alike.mean() > _MOST_ALIKE:
        return 0.0
    again = [bool(((new == row).sum(axis=1) >= _AGREE).any()) for row in old.slots[gone & ~alike]]
    return float(np.sum(again)) / max(int((~alike).sum()), 1)


def link_respelled(
    lock: CertificateLock, sketch: RowSketch, certify: Hashes
) -> dict[str, float | int] | None:
    """Return the share of an earlier source that is here spelled otherwise, and the looks that count therefore; None if none.

    The looks are linked to these units in certificate.lock, and the sketch is kept there. certify: units that certify.
    """
    share = max((respelled_share(old, sketch) for old in lock.sketches()), default=0.0)
    looks = lock.remember_source(sketch.smallest(_KEPT), certify if share >= _LEAST_SHARE else certify[:0])
    return {"share": round(share, 3), "looks": looks} if share >= _LEAST_SHARE else None


def _words(cells: tuple[object, ...]) -> set[int]:
    text = _MARKUP.sub(" ", " ".join("" if cell is None else str(cell)[:_CHARS] for cell in cells)).lower()
    found = _WORD.findall(text)
    if _IDEOGRAPH.search(text):
        found = [piece for word in found for piece in (_pairs(word) if _IDEOGRAPH.search(word) else [word])]
    return {crc32(_plain(word).encode("utf-8", "surrogatepass")) for word in found}


def _pairs(word: str) -> list[str]:
    return [word[i : i + 2] for i in range(max(len(word) - 1, 1))]


def _plain(word: str) -> str:
    """Return a number by its first two digits and its size, anything else as it is."""
    if not word[0].isdigit():
        return word
    try:
        return f"{float(word.replace(',', '.')):.1e}"
    except (ValueError, OverflowError):
        return word


def _minima(words: set[int]) -> npt.NDArray[np.uint16]:
    """Return the 16 minima of a row, each the low bits of the least hash."""
    mixed = np.fromiter(words, np.uint64, len(words))[:, None] * _FACTORS[None, :] + _OFFSETS[None, :]
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return np.asarray(mixed.min(axis=0) & np.uint64(0xFFFF), np.uint16)


_DRAW = np.random.default_rng(0)
_FACTORS = _DRAW.integers(1, 2**63, _SLOTS).astype(np.uint64) | np.uint64(1)
_OFFSETS = _DRAW.integers(1, 2**63, _SLOTS).astype(np.uint64)
