"""Count the n-grams of documents for a smoothed language model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.modalities.text.ngram_language import NgramLanguage, OrderTable, context_hashes
from rung.modalities.text.token_units import START, TokenUnits

Ints = npt.NDArray[np.int64]
# N-grams of an order, at most; those seen once go first.
_MOST_NGRAMS = 3_000_000


def count_ngrams(documents: Sequence[Sequence[int]], units: TokenUnits, order: int) -> NgramLanguage:
    """Return the model of documents as units, each with its start and its end. order: of the longest n-grams."""
    lengths = np.array([len(own) for own in documents], np.int64)
    ids = np.concatenate([np.asarray(own, np.int64) for own in documents])
    # How many units of the same document stand before each place.
    before = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    tables: list[OrderTable] = []
    above: Ints | None = None  # A place of each different n-gram of the order above.
    for size in range(order, 0, -1):
        table, above = _table(ids, before, size, above)
        tables.append(table)
    return NgramLanguage(units, tables[::-1])


def _table(ids: Ints, before: Ints, size: int, above: Ints | None) -> tuple[OrderTable, Ints]:
    """Return the n-grams of one order, and a place of each."""
    context = size - 1
    places = np.flatnonzero(before >= context)
    # The start of a document is given, never told.
    places = places[ids[places] != START]
    hashes = context_hashes(ids, context)[places - context]
    if above is not None:
        # Different units in front; what stands at the start of a document has none, and counts as often as it occurs.
        counted = np.concatenate([above[before[above] >= context], places[before[places] == context]])
        places, hashes = counted, context_hashes(ids, context)[counted - context]
    order = np.lexsort((ids[places], hashes))
    places, hashes = places[order], hashes[order]
    units = ids[places]
    is_new = np.ones(len(places), bool)
    is_new[1:] = (hashes[1:] != hashes[:-1]) | (units[1:] != units[:-1])
    first = np.flatnonzero(is_new)
    counts = np.diff(np.append(first, len(places)))
    discount = _discount(counts)
    kept = np.ones(len(first), bool)
    if len(first) > _MOST_NGRAMS and size > 2:
        kept = counts > 1
    own = first[kept]
    contexts, starts = np.unique(hashes[own], return_index=True)
    table = OrderTable(
        contexts, np.append(starts, len(own)).astype(np.int64), units[own].astype(np.int32),
        counts[kept].astype(np.int32), discount,
    )  # fmt: skip
    return table, places[first]


def _discount(counts: Ints) -> float:
    """Return n1 / (n1 + 2 n2), the estimate of Ney, Essen & Kneser (1994), between a tenth and 0.9."""
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return min(max(once / max(once + 2 * twice, 1), 0.1), 0.9)
