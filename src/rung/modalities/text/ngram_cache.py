"""Keep the n-grams of texts during a build: folds and rungs count the same ones again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import numpy.typing as npt

from rung.modalities.text.ngrams import NgramSpec

# Buckets (ascending) and counts of one text's n-grams.
Counts = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
# N-grams to keep, 8 bytes each.
_MOST = 20_000_000


class NgramCache:
    """The counted n-grams of texts, until `most` are kept; what does not fit is counted again."""

    def __init__(self, most: int = _MOST) -> None:
        self._left = most
        self._kept: dict[NgramSpec, dict[str, Counts]] = {}

    def get(self, spec: NgramSpec, text: str) -> Counts | None:
        """Return the counts of a text; None where they are not kept."""
        return self._kept.get(spec, {}).get(text)

    def put(self, spec: NgramSpec, text: str, counts: Counts) -> None:
        """Keep the counts of a text if there is room."""
        if self._left >= len(counts[0]):
            self._left -= len(counts[0])
            self._kept.setdefault(spec, {})[text] = counts


# Set while a build runs; servers have none.
_CACHE: ContextVar[NgramCache | None] = ContextVar("rung_ngrams", default=None)


@contextmanager
def use_ngram_cache() -> Iterator[None]:
    """Count the n-grams of a text once inside the block, as far as memory allows."""
    token = _CACHE.set(NgramCache())
    try:
        yield
    finally:
        _CACHE.reset(token)


def ngram_cache() -> NgramCache | None:
    """Return the cache inside `use_ngram_cache`, None outside."""
    return _CACHE.get()
