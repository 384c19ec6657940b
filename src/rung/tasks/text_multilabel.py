"""Texts with any number of labels each: topics of an article, genres of a film, tags of a package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.label_sets import set_text
from rung.core.task import ColumnProfile, Guess
from rung.core.types import Field, Schema
from rung.modalities.text.ngrams import join_fields, normalize_text
from rung.runtime.classification.set_task import LabelSetTask, set_reason, set_target


class TextMultilabel(LabelSetTask):
    """A text goes in, any number of known labels comes out, with a probability for each."""

    name = "text_multilabel"
    title = "Text classification: any number of labels for each text"
    one_label = "text_classification"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        return Schema(tuple(Field(name, "text", "input") for name in inputs), (self.label_field(targets),))

    def refuse_input(self, inputs: Mapping[str, Any]) -> str:
        if all(value is None or not str(value).strip() for value in inputs.values()):
            return f"no text in {', '.join(inputs)}"
        return ""

    def dedup_key(self, inputs: Mapping[str, Any]) -> str:
        return normalize_text(join_fields({name: [value] for name, value in inputs.items()})[0])

    def tiny(self) -> list[dict[str, Any]]:
        return [{"text": text, "target": set_text(labels)} for text, labels in _TINY]

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        target = set_target(columns)
        if target is None:
            return None
        texts = [c for c in columns if c.role == "input"] or [
            c for c in columns if not c.role and c is not target and c.numeric < 0.5 and c.mean_chars >= 8
        ]
        if not texts:
            return None
        if not any(c.role == "input" for c in texts):
            texts = [max(texts, key=lambda c: c.mean_chars)]
        reasons = (
            f"'{texts[0].name}' holds texts: {texts[0].mean_chars:.0f} characters on average",
            set_reason(target),
        )
        return Guess(self.name, 0.92, tuple(c.name for c in texts), target.name, reasons)


_TINY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The striker scored twice in the second half", ("sport",)),
    ("Our team won the match after extra time", ("sport",)),
    ("The goalkeeper saved a penalty", ("sport",)),
    ("The club borrowed money to buy the striker", ("sport", "money")),
    ("The team sold its stadium and paid its debts", ("sport", "money")),
    ("球队卖掉体育场还清了债务", ("sport", "money")),
    ("比赛最后一分钟他们进球了", ("sport",)),
    ("这支球队赢得了冠军", ("sport",)),
    ("Players eat pasta before the match", ("sport", "food")),
    ("The team's cook bakes bread for the players", ("sport", "food")),
    ("The bank raised the interest on loans", ("money",)),
    ("Shares fell after the company paid its debts", ("money",)),
    ("She saved money and paid back the loan", ("money",)),
    ("银行提高了贷款利率", ("money",)),
    ("公司还清债务后股价下跌", ("money",)),
    ("Stir the sauce until it thickens", ("food",)),
    ("Bake the bread for forty minutes", ("food",)),
    ("Add salt and pepper to the soup", ("food",)),
    ("汤里再加一点盐", ("food",)),
    ("把面粉和水混合做面包", ("food",)),
    ("Bread and salt cost more money this year", ("food", "money")),
    ("The bakery borrowed money for a new oven", ("food", "money")),
    ("面包店向银行贷款买烤箱", ("food", "money")),
    ("It rained all day", ()),
)
