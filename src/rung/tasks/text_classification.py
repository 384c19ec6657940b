"""One label of several for a text: topics, sentiment, intent, urgency, spam."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.metric import ClassF1, LogLoss, MacroF1, MeanMetric, Metric, RocAuc
from rung.core.task import ColumnProfile, Guess, Task
from rung.core.types import Field, Prediction, Schema, is_number
from rung.runtime.ngrams import fold, join_fields

MOST_LABELS = 1_000
LONGEST_LABEL = 200
# From this share of the largest label on, accuracy says little.
_ONE_SIDED = 0.8
# Words a row, and unevenness of their length, from which on short values are phrases. Said to a call centre in Chinese:
# 2.9 words, 0.54; Chinese names of people and of cities: 1.3 words, 0.25 and 0.32.
_PHRASE, _UNEVEN = 1.5, 0.35
# What tables write where there is no label. Lower-case "none" and "na" are words: they may be labels.
_MISSING = {
    "",
    "nan",
    "NaN",
    "NAN",
    "null",
    "Null",
    "NULL",
    "None",
    "n/a",
    "N/A",
    "NA",
    "<NA>",
    "#N/A",
    "NaT",
}


class TextClassification(Task):
    """A text goes in, one of at least two labels comes out, with a probability."""

    name = "text_classification"
    title = "Text classification: one label of several for each text"
    floor = "majority"
    default_metric = "accuracy"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        labels = tuple(sorted({str(target) for target in targets}))
        return Schema(
            tuple(Field(name, "text", "input") for name in inputs),
            (Field("label", "category", "output", labels),),
        )

    def metric(self, name: str, schema: Schema) -> Metric:
        kind, _, label = name.partition(":")
        if kind in {"f1", "roc_auc"}:
            if label not in schema.labels:
                fix = did_you_mean(label, schema.labels)
                raise RungError(f"the metric '{name}' names no label of the data", "bar.metric", fix)
            return ClassF1(label) if kind == "f1" else RocAuc(label)
        known: dict[str, Metric] = {metric.name: metric for metric in self.metrics(schema)}
        if name not in known:
            fix = did_you_mean(name, [*known, "f1:<label>", "roc_auc:<label>"])
            raise RungError(f"text classification has no metric '{name}'", "bar.metric", fix)
        return known[name]

    def metrics(self, schema: Schema) -> list[Metric]:
        return [MeanMetric("accuracy", _is_right, binary=True), MacroF1("macro_f1"), LogLoss("log_loss")]

    def refuse_input(self, inputs: Mapping[str, Any]) -> str:
        if all(value is None or not str(value).strip() for value in inputs.values()):
            return f"no text in {', '.join(inputs)}"
        return ""

    def parse_target(self, raw: Any) -> str | None:
        if raw is None or isinstance(raw, list | dict):
            return None
        text = str(raw).strip()
        return None if text in _MISSING else text

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        rows, labels = sum(targets.values()), len(targets)
        if labels < 2:
            raise DataError(
                f"all training rows have the label '{next(iter(targets), '')}': there is nothing to tell apart",
                where,
                "A classifier needs rows of at least two labels.",
            )
        if all(is_number(label) for label in targets) and labels > max(20, rows // 20):
            raise DataError(
                f"the target holds {labels:,} different numbers in {rows:,} rows: that is a quantity, not a label",
                where,
                "Choose another `data.target`, or group the numbers into a few named ranges.",
            )
        if sum(len(label) > LONGEST_LABEL for label in targets) > labels // 2:
            raise DataError(
                f"most of the {labels:,} labels have more than {LONGEST_LABEL} characters: those are texts, not labels",
                where,
                "Choose another `data.target`: a column of a few short values.",
            )
        if labels == rows:
            raise DataError(
                f"each of the {labels:,} labels stands in a single training row: there is nothing to learn from",
                where,
                "Collect at least 5 rows of each label, or choose another `data.target` if this one is an id.",
            )
        if labels > MOST_LABELS:
            raise DataError(
                f"the target holds {labels:,} different labels; at most {MOST_LABELS:,} can be learned",
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

    def fold(self, inputs: Mapping[str, Any]) -> str:
        return fold(join_fields({name: [value] for name, value in inputs.items()})[0])

    def same(self, one: Prediction, other: Prediction) -> bool:
        """Return whether the probabilities agree to 1e-4; labels may then differ only where two all but tie."""
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
        """Return the confusion matrix as [truth][answer] counts, and the surest mistakes by row position."""
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
        if share < _ONE_SIDED:
            return "accuracy", share
        return "macro_f1", 2 * share / (1 + share) / len(counts)

    def tiny(self) -> list[dict[str, Any]]:
        return [{"text": text, "target": label} for label, texts in _TINY.items() for text in texts]

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        label = _label_column(columns)
        texts = [c for c in columns if c.role == "input"]
        if label and not texts:
            texts = [c for c in columns if not c.role and c is not label and _is_text(c, rows)]
            # A column of ids can be longer than the texts beside it; it has one word a row.
            texts = [max(texts, key=lambda c: (c.words >= _PHRASE, c.mean_chars))] if texts else []
        if not texts or label is None:
            return None
        named = _label_likeness(label)[0]
        text = texts[0]
        reasons = (
            f"'{text.name}' holds texts: {text.mean_chars:.0f} characters on average, {text.distinct:,} different ones",
            f"'{label.name}' holds {label.distinct} different values, such as {', '.join(map(repr, label.examples[:3]))}"
            + (", and is called like a label" if named else ""),
        )
        inputs = tuple(c.name for c in texts)
        return Guess(self.name, 0.9 if named else 0.7, inputs, label.name, reasons)


def _is_text(column: ColumnProfile, rows: int) -> bool:
    return (
        column.filled >= rows * 0.5
        and column.numeric < 0.5
        and column.distinct > column.filled * 0.5
        and (column.mean_chars >= 8 or _is_short_text(column))
    )


def _is_short_text(column: ColumnProfile) -> bool:
    """Return whether short values are phrases, as in chats: more than a word, and some far longer than others.

    Names of people and places, codes and dates are all about as long as each other.
    """
    return column.words >= _PHRASE and column.spread >= _UNEVEN and column.dates < 0.5


def _label_column(columns: Sequence[ColumnProfile]) -> ColumnProfile | None:
    """Return the column most like a label: the one the user chose, if any, unless it holds one value only."""
    chosen = next((c for c in columns if c.role == "target"), None)
    if chosen:
        return chosen if chosen.distinct >= 2 else None
    likely = [
        c
        for c in columns
        if not c.role and 2 <= c.distinct <= min(MOST_LABELS, max(2, c.filled // 4)) and c.mean_chars <= 60
    ]
    return max(likely, key=_label_likeness, default=None)


def _is_right(truth: Any, answer: Prediction) -> float:
    return 1.0 if answer.value == truth else 0.0


_LABEL_NAMES = (
    "label",
    "class",
    "category",
    "target",
    "queue",
    "topic",
    "sentiment",
    "intent",
    "tag",
    "type",
    "标签",
    "类别",
    "分类",
)


def _label_likeness(column: ColumnProfile) -> tuple[bool, float, float]:
    """Return how much a column is like a label: by name, by words instead of numbers, by few values."""
    named = any(word in column.name.casefold() for word in _LABEL_NAMES)
    return named, -column.numeric, -column.distinct / max(column.filled, 1)


_TINY = {
    "sport": [
        "The striker scored twice in the second half", "Our team won the match after extra time",
        "The goalkeeper saved a penalty", "She broke the record in the final race",
        "The coach praised the players after the game", "比赛最后一分钟他们进球了", "这支球队赢得了冠军",
        "运动员打破了世界纪录", "教练在比赛后表扬了队员", "The league match ended in a draw",
        "Fans cheered as the team lifted the cup", "球迷庆祝球队夺冠",
    ],
    "kitchen": [
        "Stir the sauce until it thickens", "Bake the bread for forty minutes", "Add salt and pepper to the soup",
        "Chop the onions and fry them in butter", "把面粉和水混合在一起", "汤里再加一点盐", "用小火炖一个小时",
        "切好洋葱放进锅里炒", "Whisk the eggs with sugar", "Simmer the stew over a low heat",
        "烤箱预热后放入面包", "Let the dough rise before you bake it",
    ],
}  # fmt: skip
