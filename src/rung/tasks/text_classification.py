"""Classification of texts: topics, sentiment, intent, urgency, spam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.column_names import are_codes
from rung.core.target_names import called_like_label
from rung.core.task import ColumnProfile, Guess
from rung.core.types import Field, Schema
from rung.modalities.text.ngrams import join_fields, normalize_text
from rung.runtime.classification.task import MAX_LABELS, ClassificationTask

# Words a row, and unevenness of their length, from which on short values are phrases. Said to a call centre in Chinese:
# 2.9 words, 0.54; Chinese names of people and of cities: 1.3 words, 0.25 and 0.32.
_PHRASE, _UNEVEN = 1.5, 0.35


class TextClassification(ClassificationTask):
    """A text goes in, one of at least two labels comes out, with a probability."""

    name = "text_classification"
    title = "Text classification: one label of several for each text"
    floor = "majority"
    kind = "text classification"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        labels = tuple(sorted({str(target) for target in targets}))
        return Schema(
            tuple(Field(name, "text", "input") for name in inputs),
            (Field("label", "category", "output", labels),),
        )

    def refuse_input(self, inputs: Mapping[str, Any]) -> str:
        if all(value is None or not str(value).strip() for value in inputs.values()):
            return f"no text in {', '.join(inputs)}"
        return ""

    def dedup_key(self, inputs: Mapping[str, Any]) -> str:
        return normalize_text(join_fields({name: [value] for name, value in inputs.items()})[0])

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
        and not are_codes(column.examples)
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
        if not c.role and 2 <= c.distinct <= min(MAX_LABELS, max(2, c.filled // 4)) and c.mean_chars <= 60
    ]
    return max(likely, key=_label_likeness, default=None)


def _label_likeness(column: ColumnProfile) -> tuple[bool, float, float]:
    """Return how much a column is like a label: by name, by words instead of numbers, by few values."""
    named = called_like_label(column.name)
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
