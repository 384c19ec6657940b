"""The fields of the C struct: which columns a table model reads, and what they are called there."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rung.core.types import Schema
from rung.modalities.tables.features import TableFeatures

_RESERVED = frozenset(
    ["auto", "case", "char", "const", "default", "do", "double", "enum", "extern", "float", "goto", "inline", "int", "long", "register",
     "restrict", "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "NAN"]
)  # fmt: skip
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class CField:
    """A column. kind: "number", "time" or "category"."""

    name: str
    identifier: str
    kind: str

    @property
    def declared(self) -> str:
        return f"const char *{self.identifier};" if self.kind == "category" else f"double {self.identifier};"

    @property
    def shown(self) -> str:
        """Return the comment beside the field; nothing in it ends the comment."""
        plain = re.sub(r"[^\x20-\x7e]", "?", self.name).replace("*/", "* /")[:60]
        return f"{plain}, {self.kind}"

    @property
    def reader(self) -> str:
        return "rung_cell" if self.kind == "category" else "rung_number"

    def cell(self, value: Any) -> str:
        """Return a value as the program reads it: nothing where missing, numbers with every bit."""
        if value is None or value != value or value == "":
            return ""
        if self.kind == "category":
            return str(value).translate(_ESCAPES)
        return float(_seconds(value) if self.kind == "time" else value).hex()


def fields_of(schema: Schema, features: TableFeatures) -> list[CField]:
    """Return the columns that the model reads, in the order of the schema, each with an identifier of its own."""
    times = {name for name, part in features.numbers if part}
    read = times | {name for name, _ in features.numbers} | set(features.categories)
    found: list[CField] = []
    taken: set[str] = set()
    for field in schema.inputs:
        if field.name not in read:
            continue
        base = re.sub(r"\W", "_", field.name, flags=re.ASCII)
        if not base.strip("_") or not base[0].isalpha() or base in _RESERVED or keyword.iskeyword(base):
            base = f"column_{base}".rstrip("_")
        own, number = base, 2
        while own in taken:
            own, number = f"{base}_{number}", number + 1
        taken.add(own)
        kind = (
            "category" if field.name in features.categories else "time" if field.name in times else "number"
        )
        found.append(CField(field.name, own, kind))
    return found


def rows_text(fields: Sequence[CField], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as lines with tabs between cells."""
    return "".join("\t".join(field.cell(row.get(field.name)) for field in fields) + "\n" for row in rows)


def _seconds(value: Any) -> float:
    """Return a date as the server read it, in seconds since 1970, UTC."""
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return math.nan
