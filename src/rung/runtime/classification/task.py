"""Base class of classification tasks: metrics, checks, response shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.metrics.base import ClassF1, LogLoss, MacroF1, MeanMetric, Metric, RocAuc
from rung.core.metrics.classification import ClassShare, RecallAtSpecificity
from rung.core.metrics.selective import SelectiveAccuracy, coverage
from rung.core.scalars import is_null, label_text, same_label
from rung.core.task import Task
from rung.core.types import Field, Prediction, Schema, is_number

MAX_LABELS = 1_000
MAX_LABEL_CHARS = 200
# From this share of the largest label on, accuracy says little.
_IMBALANCED_SHARE = 0.8
# Missing-value markers. Lower-case "none" and "na" are words: they may be labels.
MISSING_LABELS = frozenset(
    {"", "nan", "NaN", "NAN", "null", "Null", "NULL", "None", "n/a", "N/A", "NA", "<NA>", "#N/A", "NaT"}
)


# Metrics of one label, written `f1:<label>`.
_OF_LABEL = ("f1", "roc_auc", "sensitivity", "specificity", "sensitivity_at_specificity")


class ClassificationTask(Task):
    """Predicts one of at least two labels, with a probability for each.

    kind: the task in words, for messages.
    """

    kind: ClassVar[str]
    default_metric = "accuracy"

    def metric(self, name: str, schema: Schema) -> Metric:
        known: dict[str, Metric] = {metric.name: metric for metric in self.metrics(schema)}
        kind, _, label = name.partition(":")
        if name in known:
            return known[name]
        if name in {"coverage", "selective_accuracy"}:
            return coverage() if name == "coverage" else SelectiveAccuracy()
        if kind in _OF_LABEL:
            return _of_label(kind, label, name, schema)
        fix = did_you_mean(name, [*known, *(f"{kind}:<label>" for kind in _OF_LABEL)])
        raise RungError(f"{self.kind} has no metric '{name}'", "bar.metric", fix)

    def metrics(self, schema: Schema) -> list[Metric]:
        return [MeanMetric("accuracy", _is_right, binary=True), MacroF1("macro_f1"), LogLoss("log_loss")]

    def parse_target(self, raw: Any) -> str | None:
        if is_missing_label(raw):
            return None
        return label_text(raw) or None

    def read_target(self, raw: Any, field: Field) -> str | None:
        if is_missing_label(raw) and not (isinstance(raw, str) and raw.strip() in field.values):
            return None
        return same_label(raw, field.values) or None

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        rows, labels = sum(targets.values()), len(targets)
        if labels < 2:
            raise DataError(
                f"all training rows have the label '{next(iter(targets), '')}': there is nothing to classify",
                where,
                "A classifier needs rows of at least two labels.",
            )
        if all(is_number(label) for label in targets) and labels > max(20, rows // 20):
            raise DataError(
                f"the target holds {labels:,} different numbers in {rows:,} rows: that is a quantity, not a label",
                where,
                "Choose another `data.target`, or group the numbers into a few named ranges.",
            )
        if sum(len(label) > MAX_LABEL_CHARS for label in targets) > labels // 2:
            raise DataError(
                f"most of the {labels:,} labels have more than {MAX_LABEL_CHARS} characters: those are texts, not labels",
                where,
                "Choose another `data.target`: a column of a few short values.",
            )
        if labels == rows:
            raise DataError(
                f"each of the {labels:,} labels occurs in a single training row: there is nothing to learn from",
                where,
                "Collect at least 5 rows of each label, or choose another `data.target` if this one is an id.",
            )
        if labels > MAX_LABELS:
            raise DataError(
                f"the target holds {labels:,} different labels; at most {MAX_LABELS:,} can be learned",
                where,
                "Choose another `data.target`, or merge labels into fewer, wider ones.",
            )
        if rows < 10 or Counter(targets).most_common(2)[1][1] < 2:
            raise DataError(
                f"{rows} training rows of {labels} labels are too few to learn from",
                where,
                "Collect at least 5 rows of each of two labels; 50 each is where results become useful.",
            )
        if labels > rows // 2:
            raise DataError(
                f"the target holds {labels:,} different labels in {rows:,} training rows: more like an id than a label",
                where,
                "Choose another `data.target`, or collect at least two rows of each label on average.",
            )

    def same(self, one: Prediction, other: Prediction) -> bool:
        """Return whether the probabilities agree to 1e-4; labels may then differ only where two are nearly
        tied.
        """
        a, b = one.extra["probabilities"], other.extra["probabilities"]
        return bool(np.abs(np.asarray(a) - np.asarray(b)).max() <= 1e-4)

    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        answer: dict[str, Any] = {"label": prediction.value, "probability": round(prediction.score or 0.0, 6)}
        if scores:
            pairs = zip(schema.labels, prediction.extra["probabilities"], strict=True)
            answer |= {f"score:{label}": round(float(p), 6) for label, p in pairs}
        return answer

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        found = [*schema.outputs, Field("probability", "number", "output")]
        return found + [Field(f"score:{label}", "number", "output") for label in schema.labels if scores]

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return the confusion matrix as [truth][prediction] counts, and the most confident mistakes by row
        position.
        """
        number = {label: i for i, label in enumerate(schema.labels)}
        size = len(schema.labels)
        matrix = np.zeros((size, size), dtype=int)
        for truth, answer in zip(truths, answers, strict=True):
            matrix[number[truth], number[answer.value]] += 1
        wrong = [i for i, (t, a) in enumerate(zip(truths, answers, strict=True)) if t != a.value]
        wrong.sort(key=lambda i: -(answers[i].score or 0.0))
        return {
            "labels": list(schema.labels),
            "confusion": matrix.tolist() if size <= 100 else None,
            "mistakes": [
                {
                    "index": i,
                    "truth": truths[i],
                    "answer": answers[i].value,
                    "probability": round(answers[i].score or 0, 4),
                }
                for i in wrong[:20]
            ],
        }

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        """Return accuracy and the largest label's share; macro F1 where that share alone would look good."""
        share = max(counts.values(), default=0) / max(sum(counts.values()), 1)
        if share < _IMBALANCED_SHARE:
            return "accuracy", share
        return "macro_f1", 2 * share / (1 + share) / len(counts)


def _of_label(kind: str, label: str, name: str, schema: Schema) -> Metric:
    """Return the metric of one label; "at" metrics end in a share: `sensitivity_at_specificity:ill:0.9`."""
    share = 0.0
    if kind == "sensitivity_at_specificity":
        label, _, text = label.rpartition(":")
        try:
            share = float(text)
        except ValueError:
            label = ""
        if not (label and 0.0 < share < 1.0):
            raise RungError(f"'{name}' says no specificity", "bar.metric", f"Write {kind}:<label>:0.9, say.")
    label = same_label(label, schema.labels)
    if label not in schema.labels:
        fix = did_you_mean(label, schema.labels)
        raise RungError(f"the metric '{name}' names no label of the data", "bar.metric", fix)
    made: dict[str, Callable[[], Metric]] = {
        "f1": lambda: ClassF1(label),
        "roc_auc": lambda: RocAuc(label),
        "sensitivity": lambda: ClassShare(name, label, of_others=False),
        "specificity": lambda: ClassShare(name, label, of_others=True),
        "sensitivity_at_specificity": lambda: RecallAtSpecificity(name, label, share),
    }
    return made[kind]()


def is_missing_label(raw: Any) -> bool:
    """Return whether a cell of the target holds no label."""
    if isinstance(raw, str):
        return raw.strip() in MISSING_LABELS
    return isinstance(raw, list | dict) or is_null(raw)


def _is_right(truth: Any, answer: Prediction) -> float:
    return 1.0 if answer.value == truth else 0.0
