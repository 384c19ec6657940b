"""The Task interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from rung.core.kind import identity_of, kind
from rung.core.metrics.base import Metric
from rung.core.scalars import is_missing, scalar_text
from rung.core.spec.recommend import RecommendSpec
from rung.core.spec.writing import WritingSpec
from rung.core.types import CellFormat, Examples, Field, Prediction, Row, Schema


@dataclass(frozen=True)
class ColumnProfile:
    """What a look at a column found. `numeric`, `dates`: the share of its non-empty values that are such.

    role: what the user says it is ("input", "target", "group", "time"); "" leaves it to a guess. words: on
    average, two Chinese characters counted as one. spread: standard deviation of the characters over their mean.
    separator: the mark between several words of a cell that come again in other cells, "[" for JSON arrays, "" for none.
    parts: how many different words those are.
    """

    name: str
    filled: int
    distinct: int
    mean_chars: float
    numeric: float
    examples: tuple[str, ...]
    dates: float = 0.0
    role: str = ""
    words: float = 0.0
    spread: float = 0.0
    separator: str = ""
    parts: int = 0


@dataclass(frozen=True)
class ColumnRoles:
    """Which columns of a source play which part, as the spec names them.

    labels: columns of 0 and 1, one a label, that stand in place of the target's. events: columns of a table of events. notes:
    takes what `Task.reshape` mended or counted, by name, for the report. users: id -> what is known of a user, column -> text.
    corpus: column of whole texts.
    """

    inputs: tuple[str, ...]
    target: str
    group: str | None = None
    time: str | None = None
    labels: tuple[str, ...] = ()
    events: RecommendSpec | None = None
    notes: MutableMapping[str, int] = field(default_factory=dict, compare=False)
    users: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False)
    corpus: str | None = None


@dataclass(frozen=True)
class Guess:
    """A task's claim that a table is its kind: confidence in [0, 1], which columns, and why.

    sections: of product.yaml beside `data` that the task needs, by name.
    """

    task: str
    confidence: float
    inputs: tuple[str, ...]
    target: str
    reasons: tuple[str, ...]
    sections: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Settled:
    """A target beside the inputs it belongs to. problem: why the row cannot be used, as "reason: detail"; "" when it can.

    notes: what was mended in it, and how often, for the report.
    """

    target: Any
    problem: str = ""
    notes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Exploration:
    """A share of answers that a server draws at random among the best candidates: see `ServeSpec.explore`."""

    share: float
    among: int


class Task(ABC):
    """A kind of problem. A subclass in `tasks/<name>.py` is the task called <name>.

    floor: the model that answers without looking, which every other must beat. repeats_are_copies: whether rows that
    ask the same are copies of one (a text pasted twice), or cases that happen to agree (two customers). repeats_within_unit:
    rows are repeats only where they are of one unit: two users may have the same history. takes_events: whether rows are made of
    the events that `recommend` names. takes_exploration: a server may draw a share of the answers at random. observes_truth: what is right shows
    in what users do later, and no reviewer can tell it: see `improvement`. takes_costs: whether its answers can go by what each kind of error costs. unit: what a certificate counts; rows of one unit
    stay together. is_stochastic: two answers to the same row may differ, so the export is checked by scores.
    takes_label_columns: several columns may stand in place of the target's (`data.label_columns`).
    default_target: the target column where the spec names none; "" for `label`. rival: the model that every other but the floor must
    beat on rows held out, or be refused; "" for none. takes_corpus: `data.corpus` may name a column of whole texts. takes_writing:
    the section `writing` is its.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    default_target: ClassVar[str] = ""
    floor: ClassVar[str]
    default_metric: ClassVar[str]
    repeats_are_copies: ClassVar[bool] = True
    repeats_within_unit: ClassVar[bool] = False
    takes_events: ClassVar[bool] = False
    takes_exploration: ClassVar[bool] = False
    observes_truth: ClassVar[bool] = False
    takes_costs: ClassVar[bool] = False
    unit: ClassVar[Literal["row", "group", "user", "document", "series"]] = "row"
    is_stochastic: ClassVar[bool] = False
    takes_label_columns: ClassVar[bool] = False
    rival: ClassVar[str] = ""
    takes_corpus: ClassVar[bool] = False
    takes_writing: ClassVar[bool] = False

    @abstractmethod
    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        """Return the schema of a model that reads these columns, given the targets of the training rows."""

    def default_inputs(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the columns a model reads when the spec names none; columns: all but target, group and time."""
        return ("text",)

    def source_columns(self, columns: ColumnRoles) -> tuple[str, ...]:
        """Return the columns that the source must have, where `reshape` makes the inputs or the target of others."""
        return (*columns.inputs, columns.target)

    def reshape(self, rows: Iterator[Row], columns: ColumnRoles) -> Iterator[Row]:
        """Return the rows of a model from the rows of a source: windows of a series, histories of a user.

        Called before rows are checked, deduplicated and split. A row that is made of several carries the file and
        number of the last of them; rows with a problem pass through.
        """
        return rows

    def time_cut(self, rows: Examples) -> tuple[Examples, Examples, str] | None:
        """Return rows to learn from, later rows to score on, and the day between them, as a second look beside the split.

        None for tasks without one. rows: those that train.
        """
        return None

    def unit_key(self, row: Mapping[str, Any], columns: ColumnRoles) -> str:
        """Return what the row's unit is told by; "" for a row that is a unit of its own. row: of the source, reshaped."""
        group = row.get(columns.group) if columns.group else None
        return "" if group is None or is_missing(group) else scalar_text(group)

    def described(
        self,
        schema: Schema,
        targets: Mapping[Any, int],
        cells: Callable[[], Mapping[str, Mapping[str, int]]],
        costs: Mapping[str, Any],
    ) -> Schema:
        """Return the schema with what training rows show: kinds of columns, order of labels.

        targets: target -> training rows. cells: gives, a column, how often each text stands in a sample of them.
        costs: of errors, as the spec has them; empty when it has none.
        """
        return schema

    def with_writing(self, schema: Schema, spec: WritingSpec | None) -> Schema:
        """Return the schema with what the section `writing` asks of answers; for tasks that take it."""
        return schema

    @abstractmethod
    def metric(self, name: str, schema: Schema) -> Metric:
        """Return the metric of that name; raises RungError when the task has no such metric."""

    @abstractmethod
    def metrics(self, schema: Schema) -> list[Metric]:
        """Return the metrics every trial reports, the default one first."""

    def refuse_input(self, inputs: Mapping[str, Any]) -> str:
        """Return why a row cannot be answered, in words; "" when it can. Never sees the target."""
        fields = self._fields(tuple(inputs))
        if all(kind(field.kind).is_empty(inputs[field.name]) for field in fields):
            return f"nothing in {', '.join(inputs)}"
        return ""

    @abstractmethod
    def parse_target(self, raw: Any) -> Any:
        """Return the target as the model learns it; None when the cell holds none."""

    def settle(self, inputs: Mapping[str, Any], target: Any) -> Settled:
        """Return the target as it fits the inputs, where the two depend on each other: boxes on an image, say."""
        return Settled(target)

    def target_field(self, field: Field, cells: Mapping[str, int]) -> Field:
        """Return the field of the target with the format that its cells show. cells: text -> rows, of the whole source."""
        return replace(field, format=CellFormat())

    def read_target(self, raw: Any, field: Field) -> Any:
        """Return the target in the format of its field, a label as the field spells it; None when the cell holds none.

        Raises ValueError, "reason: detail", for a cell that holds one that cannot be read.
        """
        return self.parse_target(raw)

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        """Raise DataError when training rows with these targets (target -> rows) cannot make a model."""

    def dedup_key(self, inputs: Mapping[str, Any]) -> str:
        """Return the text whose hash identifies what a row asks: equal for rows that ask the same.

        By default the identities of the inputs' kinds: the content of media, the folded words of a text.
        """
        return identity_of(self._fields(tuple(inputs)), inputs)

    def dedup_key_v1(self, inputs: Mapping[str, Any]) -> str:
        """Return the key of version 0.1: products whose split was frozen by it keep it."""
        return self.dedup_key(inputs)

    def _fields(self, names: tuple[str, ...]) -> tuple[Field, ...]:
        """Return the input fields as `schema` names them before anything is known of the data."""
        known: dict[tuple[str, ...], tuple[Field, ...]] = self.__dict__.setdefault("_known_fields", {})
        if names not in known:
            known[names] = self.schema(names, []).inputs
        return known[names]

    def same(self, one: Prediction, other: Prediction) -> bool:
        """Return whether two predictions are the same answer; the gate between fitted and packed model.

        Override it with a tolerance where an answer holds floating-point numbers: a runtime rounds otherwise.
        """
        return bool(one.value == other.value)

    def candidates_row(self, row: Mapping[str, Any], rule: Exploration) -> dict[str, Any]:
        """Return a row that asks for as many candidates as an exploring server draws from. For tasks that take exploration."""
        raise NotImplementedError

    def explored(
        self, answer: Prediction, row: Mapping[str, Any], rule: Exploration, number: str
    ) -> Prediction:
        """Return the answer to a row drawn from the answer to its `candidates_row`, with the propensities of what it shows.

        number: of the draw, hex digits; the same one draws the same answer.
        """
        raise NotImplementedError

    @abstractmethod
    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        """Return the flat JSON form of an answer: the HTTP response and a line of the prediction file."""

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        """Return the fields that `response` fills, in order."""
        return list(schema.outputs)

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return what the report shows beside the scores (a confusion matrix, say), ready for JSON."""
        return {}

    def label_counts(self, targets: Mapping[str, int]) -> Mapping[str, int]:
        """Return how many rows have each label, where a target holds any number of them. targets: as stored -> rows.

        {} where a target is one label, or none: then the schema says which.
        """
        return {}

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        """Return the metric a bar should speak of when targets are spread like this, and the floor's score on it."""
        return self.default_metric, 0.0

    @abstractmethod
    def tiny(self) -> list[dict[str, Any]]:
        """Return a small sample: rows with their inputs and the target under "target"."""

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        """Return how this table could be this task; None when it could not. A column's `role` settles what it is."""
        return None
