"""Base class of tasks whose answer is a set of labels: how targets are read, checked, scored and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.label_sets import find_separator, marks_of, read_set, set_labels, set_text, shown_set
from rung.core.metrics.base import Metric
from rung.core.metrics.label_sets import (
    HammingLoss,
    LabelF1,
    LabelPrecision,
    LabelRecall,
    MacroSetF1,
    MicroSetF1,
    OneLabelMetric,
    SubsetAccuracy,
)
from rung.core.scalars import as_boolean, is_missing, same_label
from rung.core.task import ColumnProfile, ColumnRoles, Task
from rung.core.types import CellFormat, Field, Prediction, Row, Schema
from rung.runtime.classification.task import MAX_LABEL_CHARS, MAX_LABELS, MISSING_LABELS

_ONE_LABEL: Mapping[str, type[OneLabelMetric]] = {
    "f1": LabelF1, "precision": LabelPrecision, "recall": LabelRecall,
}  # fmt: skip
# Mistakes that a report shows.
_SHOWN = 20


class LabelSetTask(Task):
    """Any number of known labels comes out, with a probability for each.

    one_label: the task for rows of exactly one label, which an error names.
    """

    floor = "majority"
    default_metric = "micro_f1"
    takes_label_columns = True
    one_label: ClassVar[str]

    def label_field(self, targets: Sequence[Any]) -> Field:
        """Return the output field: all labels that these targets hold, sorted."""
        sets = (read_set(target) or set_text(()) for target in targets)
        labels = tuple(sorted({label for one in sets for label in set_labels(one)}))
        return Field("labels", "labels", "output", labels)

    def source_columns(self, columns: ColumnRoles) -> tuple[str, ...]:
        return (*columns.inputs, *(columns.labels or (columns.target,)))

    def reshape(self, rows: Iterator[Row], columns: ColumnRoles) -> Iterator[Row]:
        """Yield the rows with the labels whose column says so as their target; others pass through."""
        for row in rows:
            values = row.values
            # Rows of feedback have their target already.
            if not columns.labels or values is None or values.get(columns.target) is not None:
                yield row
                continue
            marks = {name: as_boolean(values.get(name)) for name in columns.labels}
            wrong = next(
                (n for n, mark in marks.items() if mark is None and not is_missing(values.get(n))), None
            )
            if wrong is not None:
                problem = f"bad_target: '{str(values[wrong])[:60]}' in '{wrong}' is neither 1 nor 0"
                yield row._replace(values=None, problem=problem)
                continue
            known = any(mark is not None for mark in marks.values())
            target = [name for name, mark in marks.items() if mark] if known else None
            yield row._replace(values={**values, columns.target: target})

    def parse_target(self, raw: Any) -> str | None:
        return None if isinstance(raw, str) and raw.strip() in MISSING_LABELS else read_set(raw)

    def target_field(self, field: Field, cells: Mapping[str, int]) -> Field:
        return replace(field, form=field.form or find_separator(cells), format=CellFormat())

    def read_target(self, raw: Any, field: Field) -> str | None:
        if isinstance(raw, str) and raw.strip() in MISSING_LABELS and raw.strip() not in field.values:
            return None
        return read_set(raw, field.form, field.values)

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        rows, counts = sum(targets.values()), _label_counts(targets)
        if not counts:
            raise DataError("no training row has a label", where, "Choose another `data.target`.")
        if rows < 10 or max(counts.values()) < 2:
            raise DataError(
                f"{rows} training rows of {len(counts)} labels are too few to learn from",
                where,
                "Collect at least 5 rows of each label; 50 each is where results become useful.",
            )
        if len(counts) > MAX_LABELS:
            raise DataError(
                f"the target holds {len(counts):,} different labels; at most {MAX_LABELS:,} can be learned",
                where,
                "Is `data.separator` the mark between labels? Else merge labels into fewer, wider ones.",
            )
        if sum(len(label) > MAX_LABEL_CHARS for label in counts) > len(counts) // 2:
            raise DataError(
                f"most of the {len(counts):,} labels have more than {MAX_LABEL_CHARS} characters: those are texts",
                where,
                "Choose another `data.target`, or give the mark between labels as `data.separator`.",
            )
        if all(len(set_labels(str(one))) == 1 for one in targets):
            raise DataError(
                f"every training row has exactly one of the {len(counts):,} labels",
                where,
                f"Use `task: {self.one_label}`, or give the mark between labels as `data.separator`.",
            )

    def metric(self, name: str, schema: Schema) -> Metric:
        known: dict[str, Metric] = {metric.name: metric for metric in self.metrics(schema)}
        kind, colon, label = name.partition(":")
        if name in known:
            return known[name]
        if kind in _ONE_LABEL and colon:
            label = same_label(label, schema.label_set)
            if label not in schema.label_set:
                fix = did_you_mean(label, schema.label_set)
                raise RungError(f"the metric '{name}' names no label of the data", "bar.metric", fix)
            return _ONE_LABEL[kind](f"{kind}:{label}", label)
        fix = did_you_mean(name, [*known, *(f"{kind}:<label>" for kind in _ONE_LABEL)])
        raise RungError(f"classification with several labels has no metric '{name}'", "bar.metric", fix)

    def metrics(self, schema: Schema) -> list[Metric]:
        return [
            MicroSetF1("micro_f1"), MacroSetF1("macro_f1"), SubsetAccuracy("subset_accuracy"),
            HammingLoss("hamming_loss", len(schema.label_set)),
        ]  # fmt: skip

    def same(self, one: Prediction, other: Prediction) -> bool:
        """Return whether the probabilities agree to 1e-4; labels may then differ only at their thresholds."""
        a, b = one.extra["probabilities"], other.extra["probabilities"]
        return bool(np.abs(np.asarray(a) - np.asarray(b)).max(initial=0.0) <= 1e-4)

    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        said = set_labels(str(prediction.value))
        answer: dict[str, Any] = {"labels": list(said), "probability": round(prediction.score or 0.0, 6)}
        if scores:
            pairs = zip(schema.label_set, prediction.extra["probabilities"], strict=True)
            answer |= {f"score:{label}": round(float(p), 6) for label, p in pairs}
        return answer

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        found = [*schema.outputs, Field("probability", "number", "output")]
        return found + [Field(f"score:{label}", "number", "output") for label in schema.label_set if scores]

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return counts, precision, recall and F1 of each label, and the most confident mistakes by row position."""
        true = marks_of([str(truth) for truth in truths], schema.label_set)
        said = marks_of([str(answer.value) for answer in answers], schema.label_set)
        tp, have, given = (part.sum(axis=0).astype(int).tolist() for part in (true * said, true, said))
        wrong = [i for i, (t, a) in enumerate(zip(truths, answers, strict=True)) if t != a.value]
        wrong.sort(key=lambda i: -(answers[i].score or 0.0))
        return {
            "per_label": [
                {
                    "label": label, "rows": has, "answers": says, "right": hit,
                    "precision": round(hit / says, 4) if says else None,
                    "recall": round(hit / has, 4) if has else None,
                    "f1": round(2 * hit / max(has + says, 1), 4),
                }
                for label, hit, has, says in zip(schema.label_set, tp, have, given, strict=True)
            ],
            "mistakes": [
                {
                    "index": i, "truth": shown_set(str(truths[i])), "answer": shown_set(str(answers[i].value)),
                    "probability": round(answers[i].score or 0, 4),
                }
                for i in wrong[:_SHOWN]
            ],
        }  # fmt: skip

    def label_counts(self, targets: Mapping[str, int]) -> Mapping[str, int]:
        return _label_counts(targets)

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        """Return micro-F1, and that of the best set that is the same for every row: the most frequent labels."""
        rows, by_label = sum(counts.values()), _label_counts(counts)
        best, hits, total = 0.0, 0, sum(by_label.values())
        for size, (_, count) in enumerate(by_label.most_common(), 1):
            hits += count
            best = max(best, 2 * hits / max(total + size * rows, 1))
        return "micro_f1", best


def _label_counts(targets: Mapping[Any, int]) -> Counter[str]:
    """Return how many rows have each label. targets: canonical text of a set -> rows."""
    counts: Counter[str] = Counter()
    for one, rows in targets.items():
        for label in set_labels(read_set(one) or set_text(())):
            counts[label] += rows
    return counts


def set_target(columns: Sequence[ColumnProfile]) -> ColumnProfile | None:
    """Return the column that most likely holds sets of labels, among those the user chose as target; None: none does."""
    chosen = [c for c in columns if c.role == "target"]
    sets = [c for c in chosen or columns if c.role in {"", "target"} and _holds_sets(c)]
    return max(sets, key=lambda c: (c.separator == "[", c.separator != ",", -c.parts), default=None)


def set_reason(target: ColumnProfile) -> str:
    """Return why a column is taken for sets of labels."""
    between = "JSON lists" if target.separator == "[" else f"'{target.separator}' between them"
    return f"'{target.name}' holds several labels a row, {between}: {target.parts} different ones"


def _holds_sets(column: ColumnProfile) -> bool:
    return bool(column.separator) and 2 <= column.parts <= min(MAX_LABELS, max(column.filled // 2, 2))
