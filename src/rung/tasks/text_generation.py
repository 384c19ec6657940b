"""A text for a prompt: a reply, a title, a description, the next line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.metrics.base import Metric
from rung.core.scalars import is_missing, scalar_text
from rung.core.spec.writing import WritingSpec
from rung.core.task import ColumnProfile, ColumnRoles, Guess, Task
from rung.core.types import Field, Prediction, Row, Schema
from rung.modalities.text.corpus import document_key, passages
from rung.modalities.text.likeness import chrf
from rung.modalities.text.writing_metrics import CONDITION, ConditionsMet, writing_metrics
from rung.modalities.text.writing_rules import CONDITIONS, WritingRules, rules_of

OPTIONS = "options"
_DOCUMENT = "\x1fdocument"
# Texts that a report shows, and characters of each.
_SHOWN, _SHOWN_CHARS = 8, 600
_CALLED_PROMPT = {
    "prompt", "instruction", "question", "query", "request", "message", "ticket", "article", "context", "source",
    "提示", "问题", "提问", "正文", "上句", "指令", "消息",
}  # fmt: skip
_CALLED_TEXT = {
    "completion", "response", "reply", "answer", "output", "continuation", "title", "headline", "summary", "description",
    "next_line", "text", "回答", "回复", "标题", "摘要", "描述", "下句", "输出", "文本",
}  # fmt: skip
# A column holds texts of their own where its values hardly repeat.
_DIFFERENT = 0.7


class TextGeneration(Task):
    """A prompt goes in, a text comes out, held to the conditions of the product."""

    name = "text_generation"
    title = "Writing: a text for a prompt, such as a reply, a title or a next line"
    floor = "fixed_text"
    rival = "nearest_example"
    default_metric = "chrf"
    default_target = "text"
    repeats_are_copies = False
    takes_corpus = True
    takes_writing = True

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        fields = [Field(name, "text", "input") for name in inputs if name != OPTIONS]
        asked = Field(OPTIONS, "writing_options", "input")
        return Schema((*fields, asked), (Field("text", "text", "output"),))

    def default_inputs(self, columns: Sequence[str]) -> tuple[str, ...]:
        return ("prompt",)

    def source_columns(self, columns: ColumnRoles) -> tuple[str, ...]:
        if columns.corpus is not None:
            return (columns.corpus,)
        return (*(name for name in columns.inputs if name != OPTIONS), columns.target)

    def reshape(self, rows: Iterator[Row], columns: ColumnRoles) -> Iterator[Row]:
        """Yield the rows as they are; of a corpus, the passages of each document."""
        for row in rows:
            corpus, values = columns.corpus, row.values
            # Rows of feedback come as prompts and texts.
            if corpus is None or values is None or values.get(columns.inputs[0]) is not None:
                yield row
                continue
            cell = values.get(corpus)
            document = "" if cell is None else cell if isinstance(cell, str) else scalar_text(cell)
            made = list(passages(document))
            if not made:
                note = "documents_too_short"
                columns.notes[note] = columns.notes.get(note, 0) + 1
                yield row._replace(values={**values, columns.inputs[0]: "", columns.target: None})
                continue
            key = document_key(document)
            for passage in made:
                own = {columns.inputs[0]: passage.prompt, columns.target: passage.text, _DOCUMENT: key}
                yield row._replace(values={**values, **own})

    def unit_key(self, row: Mapping[str, Any], columns: ColumnRoles) -> str:
        """Return the group of a row; of a corpus without groups, its document."""
        return super().unit_key(row, columns) or str(row.get(_DOCUMENT, ""))

    def with_writing(self, schema: Schema, spec: WritingSpec | None) -> Schema:
        rules = WritingRules() if spec is None else WritingRules.from_dict(spec.model_dump(mode="json"))
        return rules.with_form(schema)

    def metric(self, name: str, schema: Schema) -> Metric:
        rules = rules_of(schema)
        known = {metric.name: metric for metric in writing_metrics(rules)}
        if name in known:
            return known[name]
        kind, colon, condition = name.partition(":")
        if f"{kind}:" == CONDITION and colon and condition in rules.named:
            return ConditionsMet(name, rules, (condition,))
        if f"{kind}:" == CONDITION and condition in CONDITIONS:
            fix = f"Set `writing: {{{condition}: ...}}`, or leave the metric out."
            raise RungError(f"the section `writing` asks for no '{condition}'", "bar.metric", fix)
        fix = did_you_mean(name, [*known, *(f"{CONDITION}{own}" for own in rules.named)])
        raise RungError(f"writing has no metric '{name}'", "bar.metric", fix)

    def metrics(self, schema: Schema) -> list[Metric]:
        return writing_metrics(rules_of(schema))

    def parse_target(self, raw: Any) -> str | None:
        if raw is None or (not isinstance(raw, str) and is_missing(raw)):
            return None
        # A text is learned as it is written: width, case and line breaks are the writer's.
        return (raw if isinstance(raw, str) else scalar_text(raw)).strip() or None

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        rows = sum(targets.values())
        if rows < 20:
            raise DataError(
                f"{rows} training rows are too few to learn to write from",
                where,
                "Collect at least 20 prompts with their texts, or a corpus of some documents; a few thousand is where "
                "results become useful.",
            )
        if len(targets) == 1:
            raise DataError(
                "all training rows have the same text: there is nothing to write",
                where,
                "Check `data.target`: the column of the texts.",
            )

    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        """Return the text with what was done to it, what it breaks, what it shares with training texts, and that a machine wrote it."""
        extra = prediction.extra
        return {
            "text": str(prediction.value),
            "ai_generated": bool(extra.get("is_generated", True)),
            "finish": str(extra.get("finish", "end")),
            "broken": list(extra.get("broken", ())),
            "copied_chars": int(extra.get("copied_chars", 0)),
            "personal_data": dict(extra.get("personal_data", {})),
        }

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        return [
            schema.outputs[0], Field("ai_generated", "json", "output"), Field("finish", "text", "output"),
            Field("broken", "list", "output"), Field("copied_chars", "number", "output"), Field("personal_data", "json", "output"),
        ]  # fmt: skip

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return what each step after decoding did, how many answers break each condition, copies, and some texts."""
        rules = rules_of(schema)
        step = max(len(answers) // _SHOWN, 1)
        shown = [
            {
                "index": i, "truth": str(truths[i])[:_SHOWN_CHARS], "answer": str(answers[i].value)[:_SHOWN_CHARS],
                "chrf": round(chrf(str(truths[i]), str(answers[i].value)), 4),
            }
            for i in range(0, len(answers), step)
        ][:_SHOWN]  # fmt: skip
        copied = [int(answer.extra.get("copied_chars", 0)) for answer in answers]
        personal = sum(bool(answer.extra.get("personal_data")) for answer in answers)
        return {
            "writing": {
                "documents": len(answers),
                "conditions": [
                    {"name": name, "broken": sum(name in answer.extra.get("broken", ()) for answer in answers)}
                    for name in rules.named
                ],
                "steps": effects(truths, answers, rules),
                "copied": sum(chars > 0 for chars in copied), "longest_copy": max(copied, default=0),
                "personal": personal, "mean_chars": round(math.fsum(len(str(a.value)) for a in answers) / max(len(answers), 1), 1),
                "mean_chars_truth": round(math.fsum(len(str(t)) for t in truths) / max(len(truths), 1), 1),
            },
            "samples": shown,
        }  # fmt: skip

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        return self.default_metric, 0.0

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        """Return prompt and text where two columns of texts are called so."""
        prompts = [c for c in columns if c.role == "input"] or _called(columns, _CALLED_PROMPT)
        texts = [c for c in columns if c.role == "target"] or _called(columns, _CALLED_TEXT)
        texts = [c for c in texts if c not in prompts]
        if not prompts or not texts or any(c.numeric > 0.5 for c in (*prompts[:1], texts[0])):
            return None
        target = texts[0]
        if target.distinct < _DIFFERENT * max(target.filled, 1) or target.mean_chars < 4:
            return None
        names = tuple(c.name for c in prompts) if prompts[0].role else (prompts[0].name,)
        reasons = (
            f"'{names[0]}' holds texts that others answer or go on from",
            f"'{target.name}' holds a text of its own for nearly each, such as {target.examples[0][:60]!r}",
        )
        return Guess(self.name, 0.9, names, target.name, reasons)

    def tiny(self) -> list[dict[str, Any]]:
        rows = []
        goods = ("lamp", "chair", "kettle", "mirror", "ladder", "basket", "台灯", "椅子", "水壶")
        looks = ("red", "small", "oak", "new", "红色")
        for i in range(36):
            thing, look = goods[i % len(goods)], looks[i % len(looks)]
            if thing > "z":
                prompt, text = f"{look} {thing}", f"这款{thing}今天发货。请放心购买{thing}。"
            else:
                prompt, text = f"{look} {thing}", f"This {thing} ships today. Order your {thing} now."
            rows.append({"prompt": prompt, OPTIONS: None, "target": text})
        return rows


def effects(
    truths: Sequence[Any], answers: Sequence[Prediction], rules: WritingRules
) -> list[dict[str, Any]]:
    """Return, step by step, on how many texts it did something, and conditions met and chrF before and after it."""
    staged = [answer for answer in answers if answer.extra.get("stages")]
    if not staged:
        return []
    pairs = [
        (str(t), dict(a.extra["stages"]))
        for t, a in zip(truths, answers, strict=True)
        if a.extra.get("stages")
    ]
    names = list(dict.fromkeys(name for _, stages in pairs for name in stages))
    found, before = [], names[0]
    for name in names[1:]:
        texts = [
            (truth, str(stages.get(before, "")), str(stages.get(name, stages.get(before, ""))))
            for truth, stages in pairs
        ]
        found.append(
            {
                "step": name, "changed": sum(old != new for _, old, new in texts),
                "met_before": _mean([not rules.broken(old) for _, old, _ in texts]),
                "met_after": _mean([not rules.broken(new) for _, _, new in texts]),
                "chrf_before": _mean([chrf(truth, old) for truth, old, _ in texts]),
                "chrf_after": _mean([chrf(truth, new) for truth, _, new in texts]),
            }
        )  # fmt: skip
        before = name
    return found


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / max(len(values), 1), 4)


def _called(columns: Sequence[ColumnProfile], names: set[str]) -> list[ColumnProfile]:
    return [c for c in columns if not c.role and c.name.casefold() in names and c.numeric < 0.5]
