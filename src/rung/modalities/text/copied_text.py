"""Find what an answer has in common with the training texts, without holding the texts themselves.

Windows of `width` characters at every `step`-th place of the training texts are kept as 64-bit hashes; every window of an answer
is looked up. A run of at least width + step - 1 characters in common is found for certain; a window that only happens to
have the hash of another is one in 10**13.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.modalities.text.ideographs import ideograph_share
from rung.modalities.text.ngrams import normalize_text

COPIES_FILE = "copies.safetensors"
# Characters of a window: of texts in ideographs, and of others.
_WIDTHS = (12, 40)
_MOST_HASHES = 1_000_000
_BASE = np.uint64(0x9E3779B97F4A7C15)


class CopiedText:
    """What training texts hold, as hashes of windows."""

    def __init__(self, hashes: npt.NDArray[np.uint64], width: int, step: int) -> None:
        self._hashes, self.width, self.step = hashes, width, step

    @classmethod
    def learn(cls, texts: Sequence[str]) -> Self:
        """Return the index of training texts."""
        sample = "".join(text[:200] for text in texts[:500])
        width = _WIDTHS[0] if ideograph_share(sample) > 0.3 else _WIDTHS[1]
        folded = [normalize_text(text) for text in texts]
        windows = sum(max(len(text) - width + 1, 0) for text in folded)
        step = max(width // 4, -(-windows // _MOST_HASHES))
        found = [_windows(text, width)[::step] for text in folded if len(text) >= width]
        hashes = np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)
        return cls(hashes, width, step)

    @property
    def least(self) -> int:
        """Return the characters in a row from which a copy is found for certain."""
        return self.width + self.step - 1

    def longest(self, text: str) -> int:
        """Return the characters in a row, as far as windows tell, that a text has in common with a training text."""
        folded = normalize_text(text)
        if len(folded) < self.width or not len(self._hashes):
            return 0
        own = _windows(folded, self.width)
        places = np.minimum(np.searchsorted(self._hashes, own), len(self._hashes) - 1)
        hits = np.flatnonzero(self._hashes[places] == own)
        if not len(hits):
            return 0
        # Windows of one copied run lie `step` apart.
        runs = np.split(hits, np.flatnonzero(np.diff(hits) > self.step) + 1)
        return int(max(run[-1] - run[0] for run in runs)) + self.width

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        facts = np.array([self.width, self.step], np.int64)
        save_file({"hashes": self._hashes, "facts": facts}, folder / COPIES_FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        from safetensors.numpy import load_file

        found = load_file(folder / COPIES_FILE)
        width, step = found["facts"].tolist()
        if width < 1 or step < 1:
            raise BundleError("the index of training texts cannot be read", COPIES_FILE, "Build it again.")
        return cls(found["hashes"], width, step)


def _windows(text: str, width: int) -> npt.NDArray[np.uint64]:
    """Return a hash for each window of a text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    total = np.zeros(len(codes) - width + 1, np.uint64)
    with np.errstate(over="ignore"):
        for place in range(width):
            total = total * _BASE + codes[place : place + len(total)] + np.uint64(1)
        # Mixed, since neighbours in the order of a polynomial differ little in their high bits.
        total ^= total >> np.uint64(29)
        total *= np.uint64(0xBF58476D1CE4E5B9)
    return total ^ (total >> np.uint64(32))
