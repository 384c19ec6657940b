"""Batches of rows of similar length; their order depends on the seed and the epoch alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# Rows are sorted by length within pools of this many batches: long enough to save padding, short enough to stay random.
_POOL_BATCHES = 50


def plan_batches(lengths: Ints, batch_rows: int, batch_tokens: int, seed: int, epoch: int) -> list[Ints]:
    """Return the batches of an epoch as row numbers; every row stands in exactly one.

    lengths: tokens of each row. A batch has at most `batch_rows` rows, and at most `batch_tokens` tokens with padding
    to its longest row, but at least one row.
    """
    draw = np.random.default_rng((seed, epoch, 0xB47C))
    order = draw.permutation(len(lengths))
    batches: list[Ints] = []
    pool = _POOL_BATCHES * batch_rows
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        by_length = part[np.argsort(lengths[part], kind="stable")]
        batches += _cut(by_length, lengths, batch_rows, batch_tokens)
    return [batches[place] for place in draw.permutation(len(batches))]


def _cut(rows: Ints, lengths: Ints, batch_rows: int, batch_tokens: int) -> list[Ints]:
    """Return consecutive batches of rows in ascending order of length."""
    if len(rows) and int(lengths[rows[-1]]) * batch_rows <= batch_tokens:
        return [rows[start : start + batch_rows] for start in range(0, len(rows), batch_rows)]
    found, start = [], 0
    for end in range(1, len(rows) + 1):
        # The next row is the longest: it decides how wide the batch would be.
        is_last = end == len(rows)
        too_many = end - start >= batch_rows
        too_wide = not is_last and int(lengths[rows[end]]) * (end - start + 1) > batch_tokens
        if is_last or too_many or too_wide:
            found.append(rows[start:end])
            start = end
    return found


def pad(rows: list[Ints], value: int = 0) -> tuple[Ints, Ints]:
    """Return token ids [rows, longest] filled up with `value`, and the mask of what is not filled."""
    width = max((len(row) for row in rows), default=0)
    ids = np.full((len(rows), width), value, np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = row, 1
    return ids, mask
