"""What is popular among users alike: by one column of what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Segments:
    """column: of the users' table. values: that have a list of their own. scores: [values, items], any scale."""

    column: str
    values: tuple[str, ...]
    scores: npt.NDArray[np.float32]

    @cached_property
    def _row(self) -> Mapping[str, int]:
        return {value: row for row, value in enumerate(self.values)}

    def of(self, about: Mapping[str, str]) -> npt.NDArray[np.float64] | None:
        """Return the scores of items for a user of whom this is known; None where nothing is known that counts."""
        row = self._row.get(about.get(self.column, ""))
        return None if row is None else np.asarray(self.scores[row], np.float64)

    def wider(self, count: int) -> Segments:
        """Return the same with so many items after the others that nobody had."""
        return replace(self, scores=np.pad(self.scores, ((0, 0), (0, count))))

    def facts(self) -> dict[str, Any]:
        """Return what is stored beside the scores, ready for JSON."""
        return {"column": self.column, "values": list(self.values)}

    @staticmethod
    def from_facts(raw: Mapping[str, Any], scores: npt.NDArray[Any]) -> Segments:
        """Return what `facts` and the scores gave; raises ValueError where they do not fit together."""
        found = Segments(str(raw["column"]), tuple(map(str, raw["values"])), scores.astype(np.float32))
        if len(found.values) != len(scores):
            raise ValueError("segments and their scores differ in number")
        return found
