"""First pass over the data: each row is staged or quarantined; only hashes stay in memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rung.core.kind import Kind, kind
from rung.core.scalars import is_missing
from rung.core.source_place import SourcePlace
from rung.core.spec.product import Product
from rung.core.task import ColumnRoles, Task
from rung.core.types import Field, Row, Schema
from rung.data.labels.corrections import Corrections
from rung.data.prepare.cleaning_log import CleaningLog, cleaning_pipeline
from rung.data.prepare.column_formats import SourceFormats
from rung.data.prepare.hashing import hash64
from rung.data.prepare.key_arrays import KeyArrays
from rung.data.prepare.keys import Keys
from rung.data.prepare.quarantine import Quarantine
from rung.modalities.tables.moments import parse_time


def staged_columns(schema: Schema) -> list[str]:
    """Return the columns of the staged table. A prefix keeps the user's apart from ours."""
    return ["file", "row", "target", *(f"input:{name}" for name in schema.input_names)]


class Sink(Protocol):
    """Where staged rows go: a `TableWriter`, or whoever looks at them as they pass."""

    def add(self, values: Sequence[Any]) -> None:
        """Take one row: a value for each of `staged_columns`."""


class Labels(Protocol):
    """Who may have another target for a row than the file: see `Overlay.target`."""

    def target(self, text: int, unit: int, target: Any) -> tuple[Any, str]:
        """Return the target of a row, and why it has none: "reason: detail", or ""."""


class RowIngestor:
    """Checks rows one by one. rows: seen so far; targets: each target's number, in order of appearance.

    settled: what was mended in targets so that they fit their inputs, and how often.
    """

    def __init__(
        self,
        product: Product,
        task: Task,
        formats: SourceFormats,
        table: Sink,
        quarantine: Quarantine,
        corrections: Corrections,
        overlay: Labels | None = None,
    ) -> None:
        self._data = product.data
        self._overlay = overlay
        self._task = task
        self._formats = formats
        schema = formats.schema
        self._fields = [(field.name, kind(field.kind)) for field in schema.inputs]
        self._roles = column_roles(product)
        # What a column holds may only show in the data (a schema of categories): such cells stay as they come.
        self._mended = [name for name, known in self._fields if known.is_prose]
        self._has_media = any(known.is_media for _, known in self._fields)
        self._target_kind = kind(formats.target.kind)
        self._read_target = TargetReader(task, formats.target, product.data.missing_labels)
        self._dedup_key = task.dedup_key_v1 if formats.is_v1 else task.dedup_key
        self._table = table
        self._quarantine = quarantine
        self._mending = CleaningLog(cleaning_pipeline(product, task))
        self._corrections = corrections
        self._known = KeyArrays(bool(self._data.time))
        self.targets: dict[str, int] = {}
        self.settled: Counter[str] = Counter()
        self.rows = 0

    @property
    def missing_words(self) -> Mapping[str, int]:
        """Return the words of the target column that were taken to mean "no label", and in how many rows."""
        return self._read_target.words

    @property
    def alone(self) -> npt.NDArray[np.bool_]:
        """Return which staged rows are units of their own."""
        return self._known.view("alone").astype(bool)

    @property
    def staged(self) -> int:
        """Return how many rows are staged by now."""
        return len(self._known)

    def keys(self) -> Keys:
        """Return what is known of each staged row, in order."""
        return self._known.keys()

    def facts(self, trains: npt.NDArray[np.bool_]) -> dict[str, Any]:
        """Return what the report says of the rows: examples and mean length are of these staged rows only."""
        chars = self._known.view("chars")[trains]
        return {
            "rows": self.rows,
            "corrections_unused": len(self._corrections) - len(self._corrections.used),
            # The plan orders rungs by it: a choice.
            "chars_per_row": round(float(chars.mean()), 1) if len(chars) else 0.0,
            "clean": self._mending.facts(lambda index: bool(trains[index])),
        }

    def save(self, folder: Path) -> None:
        """Write what `join` reads: keys of the staged rows, and counts of all rows seen."""
        self._known.save(folder)
        facts = {
            "rows": self.rows,
            "has_spans": self._known.has_spans,
            "targets": list(self.targets),
            "settled": dict(self.settled),
            "missing_words": dict(self.missing_words),
            "corrections": sorted(self._corrections.used),
            "mending": self._mending.as_dict(),
        }
        (folder / "intake.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    def join(self, folder: Path) -> None:
        """Add the rows of another that has saved itself, as if they had been added here one by one."""
        facts = json.loads((folder / "intake.json").read_text(encoding="utf-8"))
        self._mending.join(facts["mending"], self.staged)
        numbers = [self.targets.setdefault(name, len(self.targets)) for name in facts["targets"]]
        self._known.join(folder, np.array(numbers, np.int64), facts["has_spans"])
        self.rows += facts["rows"]
        self.settled.update(facts["settled"])
        self._read_target.words.update(facts["missing_words"])
        self._corrections.used.update(facts["corrections"])

    def add(self, row: Row, own: bool, place: SourcePlace) -> None:
        """Stage one row, or quarantine it. own: it comes from the user's certification file. place: where its media lie."""
        self.rows += 1
        values = row.values
        if values is None:
            self._quarantine.add(row.file, row.number, row.problem, row.hash)
            return
        raw, unusable = parse_inputs(self._fields, values, place.at(row.folder))
        mended = self._mending.apply(raw, self._mended)
        inputs = mended.values
        target, no_target = self._read_target(values.get(self._data.target))
        start, when = self._moments(row, own)
        problem = f"personal_data: {mended.refused}" if mended.refused else unusable
        problem = problem or self._problem(inputs, when)
        aside, alone = "", True
        if not problem:
            key = self._dedup_key(inputs)
            text = hash64(key)
            # The unit goes by the text as it came: with other steps of mending, rows would change sides.
            unit, alone = self._unit_of(values, text if inputs == raw else hash64(self._dedup_key(raw)))
            if self._task.repeats_within_unit:
                text = hash64(f"{unit:016x}:{key}")
            if alone and self._data.group and self._data.missing_group == "quarantine":
                problem = f"missing_group: no group in '{self._data.group}'"
            if self._overlay is not None and not own:
                target, aside = self._overlay.target(text, unit, target)
            if target is None:
                problem = aside or no_target or f"missing_target: no label in '{self._data.target}'"
            else:
                settled = self._task.settle(inputs, target)
                target, problem = settled.target, problem or settled.problem
                self.settled.update({} if problem else settled.notes)
        if problem:
            content = text if aside else hash64(json.dumps(values, ensure_ascii=False, default=str))
            self._quarantine.add(row.file, row.number, problem, content)
            return
        self._mending.staged(self.staged, row.file, row.number)
        cell = self._target_kind.to_cell(target)
        # The number is of the label a training row would learn; the staged cell keeps the row's own. Only rows
        # that train take theirs from the number, so no correction ever reaches a row that certifies.
        learned = cell if own else self._corrections.of(text, cell)
        number = self.targets.setdefault(learned, len(self.targets))
        chars = 0 if self._has_media else len(key)
        self._known.add(
            {
                "text": text,
                "unit": unit,
                "target": number,
                "when": when or 0.0,
                "start": start or 0.0,
                "own": own,
                "alone": alone,
                "chars": chars,
            }
        )
        cells = [_cell(known, inputs[name]) for name, known in self._fields]
        self._table.add([row.file, row.number, cell, *cells])

    def _moments(self, row: Row, own: bool) -> tuple[float | None, float | None]:
        """Return the first and the last moment that a row depends on; None for what is no time."""
        if not self._data.time or own or row.values is None:
            return 0.0, 0.0
        if row.span is None:
            when = parse_time(row.values.get(self._data.time), self._formats.time)
            return when, when
        self._known.has_spans = True
        first, last = (parse_time(moment, self._formats.time) for moment in row.span)
        return (first, last) if first is not None and last is not None and first <= last else (None, None)

    def _unit_of(self, values: dict[str, Any], text: int) -> tuple[int, bool]:
        """Return the unit of a row, and whether the row is a unit of its own."""
        unit = self._task.unit_key(values, self._roles)
        if unit and self._formats.is_v1 and type(self._task).unit_key is Task.unit_key:
            unit = str(values.get(self._roles.group or "")).strip()
        # A row that is a unit of its own goes by what it asks.
        return (hash64(f"group:{unit}"), False) if unit else (text, True)

    def _problem(self, inputs: dict[str, Any], when: float | None) -> str:
        refused = self._task.refuse_input(inputs)
        if refused:
            return f"empty_input: {refused}"
        return "bad_time: not a date or number" if when is None else ""


def parse_inputs(
    fields: Sequence[tuple[str, Kind]], values: Mapping[str, Any], place: SourcePlace
) -> tuple[dict[str, Any], str]:
    """Return the inputs of a source's row as their kinds read them, and what is wrong with one, as "reason: detail"."""
    inputs: dict[str, Any] = {}
    problem = ""
    for name, known in fields:
        cell = values.get(name)
        if not (type(cell) is str and known.is_text):
            try:
                cell = known.parse(cell, place)
            except ValueError as error:
                reason, _, detail = str(error).partition(": ")
                problem = problem or f"{reason}: '{name}' {detail}"
        inputs[name] = cell
    return inputs, problem


class TargetReader:
    """Reads the target of a row. words: how often each word that may mean "no label" was taken to mean it."""

    def __init__(self, task: Task, target: Field, missing: Sequence[str] | None) -> None:
        self._task, self._field = task, target
        self._missing = frozenset(missing or ())
        words = self._missing if target.kind == "number" else ()
        self._missing_numbers = frozenset(task.read_target(word, target) for word in words) - {None}
        self.words: Counter[str] = Counter()

    def __call__(self, raw: Any) -> tuple[Any, str]:
        """Return the target, and why there is none, as "reason: detail"; "" where the cell is simply empty."""
        text = raw.strip() if type(raw) is str else ""
        if text in self._missing:
            return None, ""
        try:
            found = self._task.read_target(raw, self._field)
        except ValueError as error:
            return None, str(error)
        if self._missing_numbers and found in self._missing_numbers:
            return None, ""
        if found is not None or not text:
            return found, ""
        if self._field.kind == "category":
            self.words[text] += 1
            return None, ""
        return (
            (None, "") if is_missing(text, "number") else (None, f"bad_target: '{text[:60]}' is not a number")
        )


def needed_columns(product: Product, task: Task) -> tuple[str, ...]:
    """Return the columns of a source that its rows are made of; a cell that cannot be read elsewhere costs no row."""
    roles = column_roles(product)
    return (*task.source_columns(roles), *filter(None, (roles.group, roles.time)))


def column_roles(product: Product) -> ColumnRoles:
    """Return which column of the source plays which part."""
    data = product.data
    return ColumnRoles(
        data.input,
        data.target,
        data.group,
        data.time,
        data.label_columns,
        product.recommend,
        corpus=data.corpus,
    )


def _cell(known: Kind, value: Any) -> str:
    """Return a value as a cell of the staged table; what is missing is the empty text."""
    return "" if value is None and not known.is_media else known.to_cell("" if value is None else value)
