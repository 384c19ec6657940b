"""Column roles given by the user, and suggestions for group and time columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rung.core.spec.data import DataSpec
from rung.core.task import ColumnProfile
from rung.data.sources.read import Source

_ID_NAME = re.compile(
    r"(?:^|[_\W])(?:id|uid|uuid|user|users|customer|client|account|author|sender|patient|session|thread|conversation|"
    r"group|site|device|email)(?:$|[_\W])|[a-z]Id$|编号|用户|客户|账号",
    re.I,
)
_ID_VALUE = re.compile(r"[\w@.+-]*\d[\w@.+-]*|[^\s@]+@[^\s@]+")
_LEAST_REPEATS = 1.5


@dataclass(frozen=True)
class Role:
    """A column and why it may have a role. decided: the rows show that it needs the role."""

    column: str
    reason: str
    decided: bool = False


def with_roles(
    columns: Sequence[ColumnProfile], source: Source, asked: DataSpec, given: Mapping[str, Any]
) -> list[ColumnProfile]:
    """Return the columns, chosen inputs first, each with the role that the user gave it.

    Raises DataError when there is none of a name.
    """
    roles = {name: "input" for name in asked.input if "input" in given}
    roles |= {
        name: key for key in ("target", "group", "time") if key in given and (name := getattr(asked, key))
    }
    for name, key in roles.items():
        source.require(name, f"data.{key}")
    places = {name: place for place, name in enumerate(roles)}
    ordered = sorted(columns, key=lambda column: places.get(column.name, len(places)))
    return [replace(column, role=roles.get(column.name, "")) for column in ordered]


def suggest_group(columns: Sequence[ColumnProfile]) -> Role | None:
    """Return the column, among those free of a role, that is most like an id whose values repeat."""
    likely = [c for c in columns if not c.role and _repeats(c) >= _LEAST_REPEATS and _is_id(c)]
    found = max(likely, key=lambda c: (_ID_NAME.search(c.name) is not None, c.distinct), default=None)
    if found is None:
        return None
    named = "is called like an id, and " if _ID_NAME.search(found.name) else "looks like an id: "
    return Role(
        found.name,
        f"{named}its {found.distinct:,} values stand in {_repeats(found):.1f} rows each on average; rows of one "
        "value would then stay on one side",
    )


def suggest_time(columns: Sequence[ColumnProfile]) -> Role | None:
    """Return the column, among those free of a role, that is filled with dates."""
    likely = [c for c in columns if not c.role and c.dates >= 0.95 and c.distinct > 1]
    found = max(likely, key=lambda c: (c.filled, c.distinct), default=None)
    if found is None:
        return None
    return Role(
        found.name,
        f"holds dates, such as {found.examples[0]!r}; the latest rows would then certify",
    )


def _repeats(column: ColumnProfile) -> float:
    return column.filled / max(column.distinct, 1)


def _is_id(column: ColumnProfile) -> bool:
    """Return whether values are short words with digits, or the name says so and they are many."""
    if column.distinct < 3 or column.mean_chars > 60 or column.dates > 0.5:
        return False
    if _ID_NAME.search(column.name):
        return True
    alike = all(_ID_VALUE.fullmatch(text) for text in column.examples)
    return alike and column.numeric < 0.5 and column.distinct >= 10
