"""What the split knows of each staged row, and the codes of the sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.data.prepare.hash_ranges import hash_ranges

TRAIN, CERTIFICATION = 0, 1
# Certified an earlier model and now serves only to compare: see `data.joined`.
HELD = 2
DUPLICATE, IN_CERTIFICATION, TRAINED, CERTIFIES_LATER = -1, -3, -5, -10
REPEATS_EARLIER, CROSSES_CUTOFF = -11, -12


@dataclass(frozen=True)
class Keys:
    """Per staged row: hash of its text, hash of its unit, number of its target, time, and whether it came
    from the user's own certification file.

    start: where the span of time begins that a row covers, which ends at `when`; None when rows cover a moment.
    grouped: some rows share a unit that is not their text. alone: which rows are units of their own.
    """

    text_hash: npt.NDArray[np.uint64]
    unit: npt.NDArray[np.uint64]
    target: npt.NDArray[np.int64]
    when: npt.NDArray[np.float64]
    own: npt.NDArray[np.bool_]
    start: npt.NDArray[np.float64] | None = None
    grouped: bool = False
    alone: npt.NDArray[np.bool_] | None = None

    def part(self, rows: slice) -> Keys:
        """Return the keys of some rows."""
        start = None if self.start is None else self.start[rows]
        return Keys(
            self.text_hash[rows],
            self.unit[rows],
            self.target[rows],
            self.when[rows],
            self.own[rows],
            start,
            self.grouped,
            None if self.alone is None else self.alone[rows],
        )


def drop_repeats(side: npt.NDArray[np.int8], identity: npt.NDArray[np.uint64], which: int) -> None:
    """Mark all but the first row of each identity on one side as duplicates."""
    for places in hash_ranges(identity):
        rows = places[side[places] == which]
        _, first = np.unique(identity[rows], return_index=True)
        repeated = np.ones(len(rows), dtype=bool)
        repeated[first] = False
        side[rows[repeated]] = DUPLICATE


def drop_contradictions(side: npt.NDArray[np.int8], keys: Keys) -> None:
    """Mark training rows whose text stands under two targets."""
    for places in hash_ranges(keys.text_hash):
        rows = places[side[places] == TRAIN]
        _, member = np.unique(keys.text_hash[rows], return_inverse=True)
        if not len(member):
            continue
        low = np.full(member.max() + 1, np.iinfo(np.int64).max)
        high = np.full(member.max() + 1, -1)
        np.minimum.at(low, member, keys.target[rows])
        np.maximum.at(high, member, keys.target[rows])
        side[rows[(low != high)[member]]] = -2
