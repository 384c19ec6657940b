"""Profile the columns of a source from its first rows."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import islice

from rung.core.label_sets import SEPARATORS, find_separator, read_set, set_labels
from rung.core.task import ColumnProfile
from rung.core.types import is_number
from rung.data.sources.read import Source, read_rows
from rung.modalities.tables.moments import parse_time
from rung.modalities.tables.numbers import decide_format, parse_number

# Scripts that are written without spaces: Chinese and Japanese.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"\S*[^\W\d_]\S*")
# Enough of a text to count its words.
_BEGINNING = 200
# Cells of labels are shorter on average.
_MOST_LABEL_CHARS = 120
# Longer than any number or date.
_MOST_CHARS = 40


def profile(source: Source, most_rows: int = 20_000) -> tuple[list[ColumnProfile], int]:
    """Return a profile of each column and the number of readable rows looked at, at most `most_rows`."""
    values: dict[str, Counter[str]] = {name: Counter() for name in source.columns}
    rows = 0
    for row in islice(read_rows(source, ()), most_rows):
        if row.values is None:
            continue
        rows += 1
        for name, counter in values.items():
            cell = row.values.get(name)
            text = "" if cell is None else str(cell).strip()
            if text:
                counter[text[:2000]] += 1
    return [_column(name, counter) for name, counter in values.items()], rows


def _column(name: str, counter: Counter[str]) -> ColumnProfile:
    filled = counter.total()
    chars = sum(len(text) * count for text, count in counter.items())
    # Amounts are numbers in the format of their column: $3,867.97, 3.867,97, 3'867.97. Longer cells are neither.
    short = {text: count for text, count in counter.items() if len(text) <= _MOST_CHARS}
    unit, form = decide_format(short)
    numbers = {text for text in short if is_number(text) or parse_number(text, unit, form) is not None}
    numeric = sum(counter[text] for text in numbers)
    dates = sum(
        count for text, count in short.items() if text not in numbers and parse_time(text) is not None
    )
    examples = tuple(text for text, _ in counter.most_common(5))
    some = max(filled, 1)
    words = sum(_words(text) * count for text, count in counter.items())
    mean = chars / some
    square = sum((len(text) - mean) ** 2 * count for text, count in counter.items()) / some
    separator, parts = _label_sets(counter) if mean <= _MOST_LABEL_CHARS else ("", 0)
    return ColumnProfile(
        name, filled, len(counter), mean, numeric / some, examples, dates / some,
        words=words / some, spread=math.sqrt(square) / mean if mean else 0.0,
        separator=separator, parts=parts,
    )  # fmt: skip


def _label_sets(counter: Counter[str]) -> tuple[str, int]:
    """Return the mark between the labels of cells that hold several, "[" for JSON lists, and how many labels there are."""
    lists = sum(text.startswith("[") for text in counter)
    mark = "[" if lists > 0.5 * len(counter) else find_separator(counter, SEPARATORS[:-2])
    if not mark:
        return "", 0
    sets = (read_set(text, "" if mark == "[" else mark) for text in counter)
    found = {label for one in sets if one for label in set_labels(one)}
    return (mark, len(found)) if len(found) < len(counter) else ("", 0)


def _words(text: str) -> float:
    """Return the words of a text's beginning: runs between spaces that hold a letter; half a word a Chinese character."""
    beginning = text[:_BEGINNING]
    unspaced = len(_UNSPACED.findall(beginning))
    return len(_WORD.findall(_UNSPACED.sub(" ", beginning) if unspaced else beginning)) + unspaced / 2
