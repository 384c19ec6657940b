"""The values that travel between stages: fields, schema, examples, predictions, dataset handles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["text", "category", "number", "time", "image", "audio", "document", "list", "json"]
Role = Literal["input", "output"]
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Field:
    """One named value a model reads or answers with. `values` lists the labels of a category."""

    name: str
    kind: Kind
    role: Role
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schema:
    """What a model reads and what it answers. Endpoint, columns and docs are generated from it."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.inputs)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels of the first output; () when it has none."""
        return self.outputs[0].values if self.outputs else ()

    def as_dict(self) -> dict[str, Any]:
        return {"inputs": [asdict(f) for f in self.inputs], "outputs": [asdict(f) for f in self.outputs]}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Schema:
        def fields(key: str) -> tuple[Field, ...]:
            return tuple(Field(f["name"], f["kind"], f["role"], tuple(f.get("values", ()))) for f in raw[key])

        return Schema(fields("inputs"), fields("outputs"))


@dataclass(frozen=True)
class Prediction:
    """One answer. `score` is the probability of `value` where the model has one; `extra` is the task's own."""

    value: Any
    score: float | None = None
    abstained: bool = False
    answered_by: str = ""
    cost: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Examples:
    """Rows in memory, column by column. All sequences have one entry a row.

    inputs: field name -> values. targets: what is to be predicted. units: hash of what a row is about (its
    group, else its folded input): splits and bounds go by it. rows: row number in its file, from 1.
    times: seconds since 1970; all 0 when the product has no time column. files: the file of each row; empty when
    that is not known. copies: how often the source had each row's text with this target; empty when each stood once.
    """

    schema: Schema
    inputs: Columns
    targets: Sequence[Any]
    units: Sequence[str]
    rows: Sequence[int]
    times: Sequence[float]
    files: Sequence[str] = ()
    copies: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Sequence[int]) -> Examples:
        """Return these rows, in this order."""

        def pick(column: Sequence[Any]) -> list[Any]:
            return [column[i] for i in indices]

        inputs = {name: pick(column) for name, column in self.inputs.items()}
        files = pick(self.files) if self.files else ()
        return Examples(
            self.schema,
            inputs,
            pick(self.targets),
            pick(self.units),
            pick(self.rows),
            pick(self.times),
            files,
            pick(self.copies) if self.copies else (),
        )

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield each row's inputs as a dict."""
        names = list(self.inputs)
        for values in zip(*(self.inputs[name] for name in names), strict=True):
            yield dict(zip(names, values, strict=True))

    def excerpt(self, index: int, chars: int = 280) -> str:
        """Return the beginning of a row's inputs as one line, for a person who looks at a mistake."""
        cells = (column[index] for column in self.inputs.values())
        joined = " · ".join(" ".join(str("" if cell is None else cell).split()) for cell in cells)
        return joined if len(joined) <= chars else joined[: chars - 1] + "…"


@dataclass(frozen=True)
class Dataset:
    """Named tables on disk, as handles: `tables` maps a name to its file below `folder`.

    facts: counts and findings that the plan and the report read (rows, used, quarantined, ...).
    """

    folder: Path
    schema: Schema
    tables: Mapping[str, str]
    facts: Mapping[str, Any]

    def path(self, table: str) -> Path | None:
        """Return the file of a table; None when the dataset has no such table."""
        name = self.tables.get(table)
        return self.folder / name if name else None


def is_number(text: str) -> bool:
    """Return whether a cell reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
