"""Fields found in a text, for tasks whose answer is a name, an amount, a date: their canonical text and what is equal.

The values of a row travel as one text: a JSON object of field -> list of values, names sorted, fields without a value left
out. Like the canonical text of a set of labels it can be counted, hashed, compared and stored in a table.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from rung.core.scalars import is_null, scalar_text

Values = Mapping[str, tuple[str, ...]]
# Of one field, in one row.
MAX_VALUES = 32
MAX_VALUE_CHARS = 1_000


def fields_text(fields: Mapping[str, Iterable[str]]) -> str:
    """Return the canonical text of field -> values: each value once, sorted, blanks around it removed."""
    kept = {}
    for name in sorted(fields):
        values = {folded_value(value): value.strip() for value in sorted(fields[name], reverse=True)}
        found = sorted(value for key, value in values.items() if key)
        if found:
            kept[name] = found
    return json.dumps(kept, ensure_ascii=False)


@lru_cache(maxsize=1 << 16)
def field_values(text: str) -> Values:
    """Return field -> values of a canonical text."""
    return {name: tuple(values) for name, values in json.loads(text).items()}


def folded_value(value: str) -> str:
    """Return what equal values have in common: NFKC, case and runs of blanks do not count."""
    plain = value if value.isascii() else unicodedata.normalize("NFKC", value)
    return " ".join(plain.casefold().split())


def folded_fields(text: Any) -> dict[str, frozenset[str]]:
    """Return field -> folded values of a canonical text: equal for answers that say the same."""
    return {name: frozenset(map(folded_value, values)) for name, values in field_values(str(text)).items()}


def hits_and_misses(truth: str, answer: str, most: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """Return, a field, (values found, values answered that are wrong, values missed), each at most `most` of the field."""
    true, said = field_values(truth), field_values(answer)
    found = {}
    for name, limit in most.items():
        want = Counter(map(folded_value, true.get(name, ())))
        have = Counter(map(folded_value, said.get(name, ())[:limit]))
        hits = sum((want & have).values())
        found[name] = (
            min(hits, limit), min(have.total() - hits, limit), min(want.total() - hits, limit - hits)
        )  # fmt: skip
    return found


def read_fields(raw: Any) -> str | None:
    """Return the canonical text of a cell: an object, or its JSON; None for an empty cell.

    A value is a text, a number, a list of those, or null for none. Raises ValueError, "bad_target: reason".
    """
    if isinstance(raw, str):
        if not raw.strip():
            return None
        try:
            raw = json.loads(raw)
        except ValueError:
            raise ValueError(f"bad_target: '{raw[:60]}' is no JSON object of field and value") from None
    if not isinstance(raw, dict):
        if is_null(raw):
            return None
        raise ValueError(f"bad_target: '{str(raw)[:60]}' is no JSON object of field and value")
    return fields_text({str(name).strip(): _values(name, cell) for name, cell in raw.items()})


def _values(name: Any, cell: Any) -> list[str]:
    """Return the values of one field's cell."""
    cells: Sequence[Any] = cell if isinstance(cell, list | tuple) else (cell,)
    if len(cells) > MAX_VALUES:
        raise ValueError(f"bad_target: {len(cells)} values of '{name}'; at most {MAX_VALUES} can be read")
    found = []
    for one in cells:
        if isinstance(one, dict | list | tuple):
            raise ValueError(f"bad_target: a value of '{name}' is neither a text nor a number")
        if not is_null(one):
            found.append(scalar_text(one).strip()[:MAX_VALUE_CHARS])
    return found
