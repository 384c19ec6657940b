"""Check for ids, dates or codes that predict the target by their value or order alone."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from rung.core.kind import kind
from rung.data.profile.finding import Finding, Level
from rung.data.profile.view import View, spread
from rung.modalities.tables.moments import parse_time

KINDS: frozenset[str] = frozenset()
TARGETS = True
WHEN = "build"
_ROWS, _CHARS = 20_000, 40
# Neighbours in the order of the column, or rows of equal value, agree so much of the way from chance to always.
_GAIN = 0.8
_NUMBER = re.compile(r"\d+")


def check(view: View) -> Finding | None:
    """Return the input column of short values that alone tells the target, and by what."""
    rows = spread(len(view.train), _ROWS)
    labels = [view.labels[i] for i in rows]
    sizes = Counter(labels)
    chance = sum((count / len(labels)) ** 2 for count in sizes.values())
    if len(sizes) < 2 or len(rows) < 50:
        return None
    kinds = {field.name: kind(field.kind) for field in view.train.schema.inputs}
    for name, column in view.train.inputs.items():
        if name in view.skipped or kinds[name].is_number or kinds[name].is_media:
            continue  # `leak_alone` judges numbers, on rows that did not make its groups. Models see no file names.
        cells = ["" if column[i] is None else str(column[i]).strip() for i in rows]
        filled = [cell for cell in cells if cell]
        # Text proper is the model's business: `leak_word` looks into it.
        if len(filled) < 0.5 * len(cells) or np.mean([len(cell) for cell in filled]) > _CHARS:
            continue
        by = {"value": _by_value(cells, labels), "order": _by_order(cells, labels)}
        how = max(by, key=lambda key: by[key])
        gain = (by[how] - chance) / (1 - chance)
        if gain >= _GAIN and not _is_phrase(filled):
            values = {"column": name, "how": how, "agree": round(by[how], 3), "chance": round(chance, 3)}
            evidence = view.evidence(rows[:5], lambda i: view.labels[i])
            # What the only input says is all there is to learn from: telling by it is an easy task, by its order is not.
            level: Level = "warn" if len(kinds) == 1 and how == "value" else "stop"
            return Finding("leak_column", level, len(filled), len(rows), values, evidence)
    return None


def _is_phrase(cells: Sequence[str]) -> bool:
    """Return whether cells read like words: several in a row, few digits. Short texts are what models are for."""
    some = cells[:500]
    worded = sum(
        len(cell.split()) >= 2 or any("\u4e00" <= char <= "\u9fff" for char in cell) for cell in some
    )
    coded = sum(bool(_NUMBER.search(cell)) for cell in some)
    return worded > 0.5 * len(some) and coded < 0.5 * len(some)


def _by_value(cells: Sequence[str], labels: Sequence[str]) -> float:
    """Return how often the other rows of the same value are mostly of the row's label; a value alone counts as 0."""
    best = 0.0
    # The whole value, and what stands before its first digit: REF-A-0012 tells by "REF-A-".
    for keys in (cells, [_NUMBER.split(cell, maxsplit=1)[0] for cell in cells]):
        groups: dict[str, Counter[str]] = defaultdict(Counter)
        for key, label in zip(keys, labels, strict=True):
            groups[key][label] += 1
        right = 0
        for key, label in zip(keys, labels, strict=True):
            others = groups[key].copy()
            others[label] -= 1
            top = others.most_common(1)[0]
            right += key != "" and top[1] > 0 and top[0] == label
        best = max(best, right / len(labels))
    return best


def _by_order(cells: Sequence[str], labels: Sequence[str]) -> float:
    """Return how often the next row, in the order of the column's numbers or dates, has the same label."""
    keyed = [(place, i) for i, cell in enumerate(cells) if (place := _place(cell)) is not None]
    if len(keyed) < 0.9 * len(cells) or len({place for place, _ in keyed}) < 0.5 * len(keyed):
        return 0.0
    order = [i for _, i in sorted(keyed)]
    return float(np.mean([labels[a] == labels[b] for a, b in zip(order, order[1:], strict=False)]))


def _place(cell: str) -> float | None:
    """Return where a cell stands in order: its time, or the number in it; None when it has neither."""
    when = parse_time(cell)
    if when is not None:
        return when
    digits = _NUMBER.findall(cell)
    return float(digits[-1]) if len(digits) >= 1 and len(digits[-1]) < 300 else None
