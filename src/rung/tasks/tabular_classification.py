"""Classification of table rows: credit, fraud, churn, diagnosis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.metrics.base import Metric
from rung.core.metrics.classification import (
    Brier,
    ExpectedCost,
    Ks,
    MeanRocAuc,
    PrAuc,
    RecallAtAlerts,
    RecallAtPrecision,
)
from rung.core.scalars import same_label
from rung.core.task import ColumnProfile, Guess
from rung.core.types import Field, Prediction, Schema
from rung.modalities.tables.task import TableTask, input_columns, is_prose, is_row_name, target_column
from rung.runtime.classification.task import MAX_LABELS, ClassificationTask
from rung.runtime.classification.threshold_report import threshold_report

# Of two labels the second is the one that matters, whichever is rarer.
_PAIRS = {
    ("no", "yes"), ("false", "true"), ("0", "1"), ("n", "y"), ("f", "t"), ("-1", "1"), ("negative", "positive"),
    ("good", "bad"), ("benign", "malignant"), ("否", "是"), ("无", "有"), ("正常", "异常"), ("normal", "anomaly"),
}  # fmt: skip
# Answers that a report shows of a score without labels are of the likeliest one.
_RATES = ("recall_at_alerts", "recall_at_precision")


class TabularClassification(TableTask, ClassificationTask):
    """The cells of a row go in, one of at least two labels comes out, with a probability."""

    name = "tabular_classification"
    title = "Tabular classification: one label of several for each row of a table"
    floor = "majority"
    kind = "tabular classification"
    default_metric = "roc_auc"
    takes_costs = True

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        labels = tuple(sorted({str(target) for target in targets}))
        return Schema(self.raw_inputs(inputs), (Field("label", "category", "output", labels),))

    def described(
        self,
        schema: Schema,
        targets: Mapping[Any, int],
        cells: Callable[[], Mapping[str, Mapping[str, int]]],
        costs: Mapping[str, Any],
    ) -> Schema:
        """Return the kinds of columns, and of two labels the one that matters last."""
        labels = list(schema.labels)
        wanted = costs.get("positive")
        wanted = None if wanted is None else same_label(wanted, labels)
        if costs and len(labels) != 2:
            raise DataError(
                f"`costs` speaks of two labels, the target holds {len(labels)}", "costs", "Leave it out."
            )
        if wanted is not None and wanted not in labels:
            raise DataError(
                f"no row has the label '{wanted}'", "costs.positive", did_you_mean(wanted, labels)
            )
        if len(labels) == 2:
            first, second = labels
            plain = (first.casefold(), second.casefold())
            swapped = plain[::-1] in _PAIRS or (plain not in _PAIRS and targets[first] < targets[second])
            if wanted == first or (wanted is None and swapped):
                labels = [second, first]
        outputs = (replace(schema.outputs[0], values=tuple(labels)),)
        numbers = {key: float(value) for key, value in costs.items() if key != "positive"}
        return self.with_kinds(replace(schema, outputs=outputs, costs=numbers), cells)

    def metric(self, name: str, schema: Schema) -> Metric:
        kind, _, rest = name.partition(":")
        if kind in _RATES and rest and len(schema.labels) == 2:
            try:
                rate = float(rest)
            except ValueError:
                rate = 0.0
            if not 0.0 < rate <= 1.0:
                raise RungError(f"'{name}' needs a share", "bar.metric", f"Write {kind}:0.05, say.")
            family = RecallAtAlerts if kind == "recall_at_alerts" else RecallAtPrecision
            return family(name, schema.labels[-1], rate)
        if kind == "pr_auc" and (label := same_label(rest, schema.labels)) in schema.labels:
            return PrAuc(name, label)
        if name == "expected_cost" and not schema.costs:
            fix = "Say what errors cost: `costs: {false_negative: 500, false_positive: 5}`."
            raise RungError("expected_cost needs costs", "bar.metric", fix)
        return super().metric(name, schema)

    def metrics(self, schema: Schema) -> list[Metric]:
        found = [MeanRocAuc("roc_auc"), *super().metrics(schema), Brier("brier", schema.labels)]
        if len(schema.labels) == 2:
            positive = schema.labels[-1]
            found += [PrAuc("pr_auc", positive), Ks("ks", positive)]
            if schema.costs:
                costs = schema.costs["false_negative"], schema.costs["false_positive"]
                found.append(ExpectedCost("expected_cost", positive, *costs))
        return found

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        folded: dict[str, list[str]] = defaultdict(list)
        for label in targets:
            folded[" ".join(str(label).casefold().split())].append(str(label))
        twins = next((sorted(labels) for labels in folded.values() if len(labels) > 1), None)
        if twins:
            raise DataError(
                f"the labels {' and '.join(repr(label) for label in twins)} differ by case or blanks alone",
                where,
                "Write them alike in the data: they would be learned as different answers.",
            )
        super().check(targets, where)

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        """Return ROC-AUC, which no share of the largest label can flatter."""
        return "roc_auc", 0.5

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return the confusion matrix and surest mistakes; of two labels also gains, precision and thresholds."""
        found = super().details(truths, answers, schema)
        if len(schema.labels) == 2 and len(truths):
            scores = np.array([a.extra["probabilities"][1] for a in answers], dtype=np.float64)
            positive = np.array([t == schema.labels[1] for t in truths], dtype=bool)
            found["thresholds"] = threshold_report(scores, positive, schema.labels[1], schema.costs)
        return found

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        target, named = target_column(columns, lambda c: _is_label(c, rows))
        if target is None:
            return None
        inputs = input_columns(columns, target)
        if not inputs:
            return None
        prose = [c for c in inputs if is_prose(c)]
        if all(is_prose(c) or is_row_name(c) for c in inputs):
            return None
        sure = 0.5 if prose else 0.8
        reasons = (
            f"{len(inputs)} columns of a table, such as '{inputs[0].name}': all but the target",
            f"'{target.name}' holds {target.distinct} different values, such as {', '.join(map(repr, target.examples[:3]))}"
            + (", and is called like a target" if named and not target.role else ""),
        )
        return Guess(self.name, sure + 0.05 * named, tuple(c.name for c in inputs), target.name, reasons)

    def tiny(self) -> list[dict[str, Any]]:
        """Return made-up loans: what is owed, at what age, for what, since when; late or paid."""
        rows = []
        for i in range(40):
            late = (i * 7) % 5 < 2
            rows.append(
                {
                    "amount": 1000.0 + 50.0 * i + (4000.0 if late else 0.0),
                    "age": None if i % 9 == 4 else 21.0 + (i * 13) % 40,
                    "purpose": ("car", "房屋", "travel", None)[i % 4],
                    "since": f"20{10 + i % 12}-0{1 + i % 9}-15",
                    "note": f"call no {i}: "
                    + ("asked for more time again" if late else "all was paid as agreed"),
                    "target": "late" if late else "paid",
                }
            )
        return rows


def _is_label(column: ColumnProfile, rows: int) -> bool:
    """Return whether a column could be a label: few values that repeat, and no quantity."""
    if not 2 <= column.distinct <= min(MAX_LABELS, max(2, column.filled // 5)) or column.mean_chars > 60:
        return False
    return column.filled >= 0.5 * rows and (column.numeric < 0.9 or column.distinct <= 20)
