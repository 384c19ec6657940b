"""Compare rows by their hashes range by range: equal hashes meet in one range, so memory is bounded by a range, not by the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# Rows of a range on average. Sorting so many takes about 200 MB.
_ROWS = 1 << 22
# So many ranges at most: more than rows of one machine's memory need.
_MOST = 1 << 15


def hash_ranges(hashes: Hashes, rows: int = _ROWS) -> Iterator[Places]:
    """Yield the places of all hashes, in order, one range of their values after the other, the smallest values first.

    rows: of a range, on average. A hash that very many rows share makes its range larger.
    """
    count = min(-(-len(hashes) // rows), _MOST)
    if count <= 1:
        yield np.arange(len(hashes), dtype=np.int64)
        return
    part = np.empty(len(hashes), np.uint16)
    for begin in range(0, len(hashes), rows):
        high = hashes[begin : begin + rows] >> np.uint64(32)
        part[begin : begin + rows] = (high * np.uint64(count)) >> np.uint64(32)
    for number in range(count):
        yield np.flatnonzero(part == number)


def shared_with(hashes: Hashes, chosen: Mask) -> Mask:
    """Return which rows have the hash of a chosen row; those are among them."""
    found = np.zeros(len(hashes), bool)
    for places in hash_ranges(hashes):
        ours = hashes[places]
        found[places] = np.isin(ours, ours[chosen[places]])
    return found


def listed_in(hashes: Hashes, known: Hashes) -> Mask:
    """Return which hashes are among the known ones."""
    found = np.zeros(len(hashes), bool)
    if not len(known):
        return found
    ranked = np.sort(known)
    for begin in range(0, len(hashes), _ROWS):
        ours = hashes[begin : begin + _ROWS]
        at = np.minimum(np.searchsorted(ranked, ours), len(ranked) - 1)
        found[begin : begin + _ROWS] = ranked[at] == ours
    return found


def distinct(hashes: Hashes, chosen: Mask | None = None) -> Hashes:
    """Return the distinct hashes of the chosen rows, by default of all, ascending."""
    found = [np.zeros(0, np.uint64)]
    for places in hash_ranges(hashes):
        found.append(np.unique(hashes[places if chosen is None else places[chosen[places]]]))
    return np.concatenate(found)


def counts_of(hashes: Hashes, chosen: Mask) -> npt.NDArray[np.int64]:
    """Return how often the hash of each chosen row stands among the chosen ones; 0 for the others."""
    found = np.zeros(len(hashes), np.int64)
    for places in hash_ranges(hashes):
        rows = places[chosen[places]]
        _, member, times = np.unique(hashes[rows], return_inverse=True, return_counts=True)
        found[rows] = times[member]
    return found


def first_with(hashes: Hashes, chosen: Mask) -> Iterator[tuple[Places, Places]]:
    """Yield, range by range, places of chosen rows and the place of the first chosen row with the hash of each."""
    for places in hash_ranges(hashes):
        rows = places[chosen[places]]
        _, first, member = np.unique(hashes[rows], return_index=True, return_inverse=True)
        yield rows, rows[first][member]
