"""Stop where words such as "None" and "NA" may be labels or may say that a row has none."""

from __future__ import annotations

from collections.abc import Mapping, Sized

from rung.core.errors import DataError
from rung.core.spec.product import Product

# What programs write for an empty cell is not asked about; these are words that people use as labels too.
AMBIGUOUS = ("None", "NA", "N/A", "n/a")
_LEAST_ROWS, _LEAST_SHARE, _MOST_LABELS = 5, 0.05, 50


def ambiguous_words(words: Mapping[str, int], labels: int, rows: int) -> dict[str, int]:
    """Return the words that are as frequent as labels are, and their rows.

    words: those of the target column taken for "no label" -> rows. labels: different labels. rows: that have one.
    """
    if labels > _MOST_LABELS:
        return {}
    least = max(_LEAST_ROWS, _LEAST_SHARE * (rows + sum(words.values())))
    return {word: n for word, n in words.items() if word in AMBIGUOUS and n >= least}


def require_settled_labels(words: Mapping[str, int], labels: Sized, rows: int, product: Product) -> None:
    """Raise DataError when a frequent word of the target may be a label, and the spec does not say which it is."""
    data = product.data
    found = ambiguous_words(words, len(labels), rows) if data.missing_labels is None else {}
    if not found:
        return
    listed = " and ".join(f"'{word}' stands in {n:,} rows" for word, n in found.items())
    fix = ", ".join(found)
    raise DataError(
        f"{listed} of the column '{data.target}': a label, or the word for no label?",
        f"{data.shown} (data.target)",
        f"If it is a label, write `data: {{missing_labels: []}}`; if it says that there is none, `missing_labels: [{fix}]`.",
    )
