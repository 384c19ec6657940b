"""Value types passed between steps: fields, schema, rows, examples, predictions, dataset handles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

Role = Literal["input", "output"]
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class CellFormat:
    """How the cells of a column are written, decided from the whole column and the same ever after.

    decimal: the mark where a cell could have either: "1,250" is 1.25 or 1250. suffixes: letters among k, m and b that
    mean thousand, million and billion without money before them. units: (unit, factor to the column's own), also "%".
    currency: of amounts; other currencies are no numbers of the column. clock: times of day and durations, in seconds.
    boolean: 1 and 0 mean true and false.
    """

    decimal: str = "."
    suffixes: str = ""
    units: tuple[tuple[str, float], ...] = ()
    currency: str = ""
    clock: bool = False
    boolean: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the format for JSON: what differs from the default."""
        found = {key: value for key, value in asdict(self).items() if value != getattr(_DEFAULT_FORMAT, key)}
        return found | ({"units": dict(self.units)} if self.units else {})

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> CellFormat:
        """Return the format that `as_dict` wrote; raises TypeError or ValueError for anything else."""
        units = tuple((str(unit), float(factor)) for unit, factor in dict(raw.get("units", {})).items())
        return CellFormat(**{**raw, "units": units})


_DEFAULT_FORMAT = CellFormat()


@dataclass(frozen=True)
class Field:
    """One named value a model reads or answers with. kind: the name of its `core.kind.Kind`.

    values: the labels of a category; of a number or a date, words that may stand in its place. form: "dmy" or "mdy" of a
    date; the unit behind a number. format: None in bundles of version 0.1, which read each cell by itself.
    """

    name: str
    kind: str
    role: Role
    values: tuple[str, ...] = ()
    form: str = ""
    format: CellFormat | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the field for JSON; a form that says nothing is left out."""
        found = {key: value for key, value in asdict(self).items() if key != "format"}
        found = found if self.form else {key: value for key, value in found.items() if key != "form"}
        return found if self.format is None else found | {"format": self.format.as_dict()}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Field:
        """Return the field that `as_dict` wrote."""
        form = None if raw.get("format") is None else CellFormat.from_dict(raw["format"])
        return Field(
            raw["name"], raw["kind"], raw["role"], tuple(raw.get("values", ())), raw.get("form", ""), form
        )


@dataclass(frozen=True)
class Schema:
    """What a model reads and what it answers. Endpoint, columns and docs are generated from it.

    costs: what each kind of error costs, where the spec says so; answers and metrics go by it.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.inputs)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels of which an answer is one; () when answers are something else."""
        return self.outputs[0].values if self.outputs and self.outputs[0].kind != "labels" else ()

    @property
    def label_set(self) -> tuple[str, ...]:
        """Return the labels of which an answer holds any number; () when answers are something else."""
        return self.outputs[0].values if self.outputs and self.outputs[0].kind == "labels" else ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the labels for each of which a model has a score, whether an answer is one of them or several."""
        return self.labels or self.label_set

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "inputs": [f.as_dict() for f in self.inputs],
            "outputs": [f.as_dict() for f in self.outputs],
        }
        return found | ({"costs": dict(self.costs)} if self.costs else {})

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Schema:
        def fields(key: str) -> tuple[Field, ...]:
            return tuple(map(Field.from_dict, raw[key]))

        return Schema(fields("inputs"), fields("outputs"), dict(raw.get("costs", {})))


@dataclass(frozen=True)
class Prediction:
    """One answer. `score` is the probability of `value` where the model has one; `extra` is the task's own."""

    value: Any
    score: float | None = None
    abstained: bool = False
    answered_by: str = ""
    cost: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)


# Of Examples: what has an entry a row beside the inputs, in the order of its fields.
_ROW_FIELDS = ("targets", "units", "rows", "times", "files", "copies", "starts")


@dataclass(frozen=True)
class Examples:
    """Rows in memory, column by column. All sequences have one entry a row; a column of numbers may be an array,
    in which NaN is what is missing.

    inputs: field name -> values. targets: what is to be predicted. units: hash of what a row is about (its
    group, else its folded input): splits and bounds go by it. rows: row number in its file, from 1.
    times: seconds since 1970, of a row that covers a span of time the end of it; all 0 when the product has no time
    column. starts: where those spans begin; empty when rows cover a moment. files: the file of each row; empty when
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
    starts: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Sequence[int]) -> Examples:
        """Return these rows, in this order."""

        def pick(column: Any) -> Any:
            return _pick(column, indices)

        inputs = take_rows(self.inputs, indices)
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
            pick(self.starts) if self.starts else (),
        )

    def join(self, other: Examples) -> Examples:
        """Return the rows of both, these first."""

        def both(name: str) -> list[Any]:
            return [*getattr(self, name), *getattr(other, name)]

        inputs = {name: [*column, *other.inputs[name]] for name, column in self.inputs.items()}
        return Examples(self.schema, inputs, *map(both, _ROW_FIELDS))

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield each row's inputs as a dict."""
        return records(self.inputs)


def take_rows(columns: Columns, indices: Sequence[int]) -> dict[str, Any]:
    """Return these rows of every column, in this order."""
    return {name: _pick(column, indices) for name, column in columns.items()}


def records(columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield each row of some columns as a dict; a missing number is None."""
    names = list(columns)
    for values in zip(*(_plain(columns[name]) for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _pick(column: Any, indices: Sequence[int]) -> Any:
    return column.take(indices) if hasattr(column, "take") else [column[i] for i in indices]


def _plain(column: Any) -> Sequence[Any]:
    """Return a column with numbers as Python has them, None where an array holds NaN."""
    if not hasattr(column, "tolist"):
        return column  # type: ignore[no-any-return]
    return [None if value != value else value for value in column.tolist()]


class Row(NamedTuple):
    """A row of a source. A named tuple: millions are made, and these are made fast.

    number: from 1, header and blank lines not counted. values: None when `problem` ("reason: detail") says
    why not. hash: of what stands in the file, for rows with a problem. unreadable: column -> why its cell is None here.
    span: first and last moment that the row's
    inputs and target depend on, as cells of the time column are written; None: the moment in the time column.
    folder: where files that its cells name lie, if the tables of the source have several.
    """

    file: str
    number: int
    values: dict[str, Any] | None
    problem: str = ""
    hash: int = 0
    span: tuple[Any, Any] | None = None
    unreadable: Mapping[str, str] | None = None
    folder: Path | None = None


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
