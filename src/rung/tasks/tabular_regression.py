"""Regression on table rows: prices, demand, durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.metrics.base import Metric
from rung.core.metrics.regression import covered, mae, r2, rmse, within
from rung.core.scalars import is_missing
from rung.core.task import ColumnProfile, Guess
from rung.core.types import Field, Prediction, Schema
from rung.modalities.tables.numbers import decide_format, parse_number, split_number
from rung.modalities.tables.task import TableTask, input_columns, target_column

_WORST = 20


class TabularRegression(TableTask):
    """The cells of a row go in, a number comes out, with an interval that holds nine times of ten."""

    name = "tabular_regression"
    title = "Tabular regression: a number for each row of a table"
    floor = "mean"
    default_metric = "r2"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        return Schema(self.raw_inputs(inputs), (Field("value", "number", "output"),))

    def metric(self, name: str, schema: Schema) -> Metric:
        kind, _, rest = name.partition(":")
        if kind == "within" and rest:
            try:
                tolerance = float(rest.rstrip("%")) / (100.0 if rest.endswith("%") else 1.0)
            except ValueError:
                tolerance = 0.0
            if tolerance <= 0:
                fix = "Write within:10% for a share of the truth, within:500 for the target's own units."
                raise RungError(f"'{name}' says no tolerance", "bar.metric", fix)
            return within(name, tolerance, rest.endswith("%"))
        known = {metric.name: metric for metric in self.metrics(schema)}
        if name not in known:
            # A person who asks for accuracy means how often an answer is near enough.
            fix = did_you_mean(name, [*known, "within:10%", "within:500"])
            raise RungError(f"tabular regression has no metric '{name}'", "bar.metric", fix)
        return known[name]

    def metrics(self, schema: Schema) -> list[Metric]:
        return [r2(), mae(), rmse(), within("within:10%", 0.1, relative=True), covered()]

    def parse_target(self, raw: Any) -> float | None:
        if is_missing(raw, "number") or isinstance(raw, list | dict):
            return None
        parts = split_number(raw) if isinstance(raw, str) else None
        return parse_number(raw, parts.rest if parts and parts.rest[:1].isalpha() else "")

    def target_field(self, field: Field, cells: Mapping[str, int]) -> Field:
        unit, form = decide_format({text: n for text, n in cells.items() if not is_missing(text, "number")})
        return replace(field, form=unit, format=form)

    def read_target(self, raw: Any, field: Field) -> float | None:
        if field.format is None:
            return self.parse_target(raw)
        if is_missing(raw, "number") or isinstance(raw, list | dict):
            return None
        return parse_number(raw, field.form, field.format)

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        rows, distinct = sum(targets.values()), len(targets)
        if distinct < 2:
            raise DataError(
                f"all training rows have the target {next(iter(targets), '')}: there is nothing to learn",
                where,
                "Choose another `data.target`.",
            )
        if rows < 20:
            raise DataError(
                f"{rows} training rows are too few to learn a number from",
                where,
                "Collect at least 20; a few hundred is where results become useful.",
            )

    def same(self, one: Prediction, other: Prediction) -> bool:
        """Return whether two numbers agree to a ten-thousandth of their size."""
        return bool(abs(one.value - other.value) <= 1e-4 * max(abs(one.value), abs(other.value), 1e-6))

    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        answer: dict[str, Any] = {"value": _rounded(prediction.value)}
        if "low" in prediction.extra:
            answer |= {key: _rounded(prediction.extra[key]) for key in ("low", "high")}
        return answer

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        return [*schema.outputs, Field("low", "number", "output"), Field("high", "number", "output")]

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return the spread of errors, and the rows that were farthest off as `worst`."""
        off = np.array([a.value for a in answers]) - np.array(truths, dtype=np.float64)
        order = np.argsort(-np.abs(off))[:_WORST].tolist()
        parts = np.quantile(off, [0.05, 0.25, 0.5, 0.75, 0.95]) if len(off) else np.zeros(5)
        return {
            "errors": {f"p{p}": _rounded(v) for p, v in zip((5, 25, 50, 75, 95), parts, strict=True)},
            "misses": [{"index": i, "truth": truths[i], "answer": _rounded(answers[i].value)} for i in order],
        }

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        """Return the share of answers within a tenth of the truth, and what the median alone reaches."""
        values = np.repeat([float(value) for value in counts], list(counts.values()))
        if not len(values):
            return "within:10%", 0.0
        middle = float(np.median(values))
        return "within:10%", float((np.abs(values - middle) <= 0.1 * np.abs(values)).mean())

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        target, named = target_column(columns, lambda c: _is_quantity(c, rows))
        if target is None:
            return None
        inputs = input_columns(columns, target)
        if not inputs:
            return None
        reasons = (
            f"{len(inputs)} columns of a table, such as '{inputs[0].name}': all but the target",
            f"'{target.name}' holds {target.distinct:,} different numbers, such as {', '.join(target.examples[:3])}"
            + (", and is called like a target" if named and not target.role else ""),
        )
        sure = 0.85 if target.role else 0.6 if named else 0.4
        return Guess(self.name, sure, tuple(c.name for c in inputs), target.name, reasons)

    def tiny(self) -> list[dict[str, Any]]:
        """Return made-up flats: how large, where, built when; and the rent."""
        rows = []
        for i in range(40):
            size = 30.0 + (i * 17) % 90
            where = ("north", "市中心", None)[i % 3]
            rows.append(
                {
                    "size": None if i % 11 == 5 else size,
                    "where": where,
                    "built": f"19{50 + i}-03-01",
                    "note": f"flat no {i} with "
                    + ("a large sunny balcony" if i % 2 else "a small dark yard"),
                    "target": 300.0 + 11.0 * size + (400.0 if where == "市中心" else 0.0),
                }
            )
        return rows


def _is_quantity(column: ColumnProfile, rows: int) -> bool:
    return column.numeric >= 0.95 and column.filled >= 0.5 * rows and column.distinct > 20


def _rounded(value: float) -> float:
    """Return a number to ten significant digits: what lies beyond is the processor's, not the model's."""
    return float(f"{float(value):.10g}")
