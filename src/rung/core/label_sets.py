"""Sets of labels, for tasks where a row has any number of them: their canonical text, and how sources write them.

A set travels as the JSON text of its sorted labels. It is told apart, counted, stored and compared as every other target
is; lists exist where a caller writes or reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.scalars import label_text, same_label

Floats = npt.NDArray[np.float64]
# Marks between the labels of a cell, those first that stand inside a label least often.
SEPARATORS = ("|", ";", "；", "、", "，", ",", "\n", "\t", "/", " ")
# From this share of the cells on that a mark splits, it is one between labels.
_SPLITS = 0.02
# Parts come again in other cells, so many times on average; the pieces of a sentence do not.
_REPEATED, _REPEATED_WEAK = 2.0, 4.0
# Marks that stand inside labels as well: their parts must come again more often.
_WEAK = ("/", " ")


def set_text(labels: Iterable[str]) -> str:
    """Return the canonical text of a set of labels: the JSON array of them, sorted, each once."""
    return json.dumps(sorted(set(labels)), ensure_ascii=False)


@lru_cache(maxsize=1 << 16)
def set_labels(text: str) -> tuple[str, ...]:
    """Return the labels of a set's canonical text, sorted."""
    return tuple(json.loads(text))


def shown_set(text: str) -> str:
    """Return the labels of a set's canonical text as people read them; a dash for none."""
    return ", ".join(set_labels(text)) or "—"


def marks_of(texts: Sequence[str], labels: Sequence[str]) -> Floats:
    """Return [rows, labels] of 1 and 0: which labels each set holds. Labels that are not among these are left out."""
    place = {label: column for column, label in enumerate(labels)}
    found = np.zeros((len(texts), len(labels)))
    for row, text in enumerate(texts):
        found[row, [place[label] for label in set_labels(text) if label in place]] = 1.0
    return found


def read_set(raw: Any, separator: str = "", known: Sequence[str] = ()) -> str | None:
    """Return the canonical text of a cell's or an answer's labels; None where it holds none and no list.

    A list and a JSON array are sets as they stand, the empty one included. Any other text is split by `separator`; it is
    one label without. Labels are spelled as `known` ones are, where they are the same.
    """
    if isinstance(raw, str):
        text = raw.strip()
        parts = _json_list(text)
        if parts is None:
            parts = text.split(separator) if separator else [text]
            if not any(part.strip() for part in parts):
                return None
        raw = parts
    if isinstance(raw, set | frozenset | tuple):
        raw = list(raw)
    if not isinstance(raw, list) or any(isinstance(part, list | dict) for part in raw):
        return None
    texts = (same_label(part, known) if known else label_text(part) for part in raw)
    return set_text(text for text in texts if text)


def find_separator(cells: Mapping[str, int], marks: Sequence[str] = SEPARATORS) -> str:
    """Return the mark between the labels of these cells (text -> rows); "" where each holds a JSON array or one label.

    A mark separates labels where it splits some cells and the parts come again and again; of several the one whose parts
    are fewest, since the marks inside a label split it as well.
    """
    plain = {text: rows for text, rows in cells.items() if text.strip() and _json_list(text.strip()) is None}
    if not plain:
        return ""
    best, fewest = "", float("inf")
    for mark in marks:
        split = sum(mark in text.strip() for text in plain)
        if split < max(_SPLITS * len(plain), 2):
            continue
        parts: dict[str, int] = {}
        for text in plain:
            for part in filter(None, map(str.strip, text.split(mark))):
                parts[part] = parts.get(part, 0) + 1
        often = _REPEATED_WEAK if mark in _WEAK else _REPEATED
        if sum(parts.values()) >= often * len(parts) and len(parts) < fewest:
            best, fewest = mark, len(parts)
    return best


def _json_list(text: str) -> list[Any] | None:
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None
