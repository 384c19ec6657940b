"""What a build remembers of each staged row, as flat arrays that grow, are written by one job and joined by another."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.prepare.hash_ranges import first_with
from rung.data.prepare.keys import Keys

# Field -> the types that hold it: of an array that grows, and of numpy.
_TYPES = {
    "text": ("Q", "u8"),
    "unit": ("Q", "u8"),
    "target": ("q", "i8"),
    "when": ("d", "f8"),
    "start": ("d", "f8"),
    "chars": ("i", "i4"),
    "own": ("b", "i1"),
    "alone": ("b", "i1"),
}


class KeyArrays:
    """One number of each field for each staged row, in order. has_times, has_spans: whether rows have a time, or cover a span of time.

    Without times none is kept: a row takes 30 bytes then, and 46 at most.
    """

    def __init__(self, has_times: bool) -> None:
        self.has_spans = False
        left_out = () if has_times else ("when", "start")
        self._held = {name: array(code) for name, (code, _) in _TYPES.items() if name not in left_out}

    def __len__(self) -> int:
        return len(self._held["text"])

    def add(self, row: dict[str, Any]) -> None:
        """Add a row: a number for each field."""
        for name, values in self._held.items():
            values.append(row[name])

    def view(self, name: str) -> npt.NDArray[Any]:
        """Return the numbers of a field; what is not kept is 0."""
        kind = _TYPES[name][1]
        if name not in self._held or not len(self):
            return np.zeros(len(self), kind)
        return np.frombuffer(self._held[name], dtype=kind)

    def keys(self) -> Keys:
        """Return what the split needs of the rows."""
        text, unit = self.view("text"), self.view("unit")
        alone = self.view("alone").astype(bool)
        # What was one text before mending stays one after it: a row that is its own unit never has two.
        if (alone & (text != unit)).any():
            text = text.copy()
            for rows, first in first_with(unit, alone):
                text[rows] = text[first]
        start = self.view("start") if self.has_spans else None
        grouped = not bool(alone.all())
        own = self.view("own").astype(bool)
        return Keys(text, unit, self.view("target"), self.view("when"), own, start, grouped, alone)

    def save(self, folder: Path) -> None:
        """Write the arrays below a folder, a file each."""
        for name in self._held:
            np.save(folder / f"{name}.npy", self.view(name))

    def join(self, folder: Path, targets: npt.NDArray[np.int64], has_spans: bool) -> None:
        """Add the rows that another wrote. targets: the number here of each number of a target there."""
        self.has_spans |= has_spans
        for name, values in self._held.items():
            read = np.load(folder / f"{name}.npy", allow_pickle=False)
            read = targets[read] if name == "target" else read
            values.frombytes(np.ascontiguousarray(read, _TYPES[name][1]).tobytes())
