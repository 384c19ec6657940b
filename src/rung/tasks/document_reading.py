"""What stands on an image: the lines of a document, or the fields of a card, a form, a receipt."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.metrics.base import Metric
from rung.core.scalars import is_missing, scalar_text
from rung.core.task import ColumnProfile, ColumnRoles, Guess, Task
from rung.core.types import Field, Prediction, Row, Schema
from rung.modalities.images.file_names import names_images
from rung.modalities.images.png import write_png
from rung.modalities.images.read_fields import Fields, are_fields, fields_of, fields_text
from rung.modalities.images.reading_metrics import (
    CharacterErrorRate,
    error_rate,
    exact_documents,
    exact_fields,
    mistakes_by_field,
    reading_accuracy,
)
from rung.modalities.images.text_lines import lines_of

# Documents that a report shows.
_SHOWN = 8
_CALLED_TEXT = {"text", "transcript", "transcription", "ocr", "content", "文本", "内容", "文字", "识别文本"}
_CALLED_FIELDS = {"fields", "字段"}
# A column holds texts of documents where its values hardly repeat.
_DIFFERENT = 0.8


class DocumentReading(Task):
    """An image goes in, its text comes out with the place of each line, or its fields with their values."""

    name = "document_reading"
    title = "Document reading: the text on each image, or its fields"
    floor = "no_text"
    default_metric = "reading_accuracy"
    default_target = "text"
    takes_label_columns = True

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        names = sorted({name for target in targets for name, _ in _as_fields(target)})
        read = Field("lines", "lines", "output")
        answers: tuple[Field, ...] = (Field("text", "text", "output"), read)
        if names:
            answers = (
                Field("fields", "fields", "output"),
                Field("field", "category", "output", tuple(names)),
                *answers,
            )
        return Schema(
            tuple(Field(name, "image", "input") for name in inputs),
            (answers[0], Field("confidence", "number", "output"), *answers[1:]),
        )

    def default_inputs(self, columns: Sequence[str]) -> tuple[str, ...]:
        return ("image",)

    def source_columns(self, columns: ColumnRoles) -> tuple[str, ...]:
        return (*columns.inputs, *(columns.labels or (columns.target,)))

    def reshape(self, rows: Iterator[Row], columns: ColumnRoles) -> Iterator[Row]:
        """Yield the rows with the columns of fields, where the spec names some, gathered into their target."""
        for row in rows:
            values = row.values
            if not columns.labels or values is None or isinstance(values.get(columns.target), Mapping):
                yield row
                continue
            cells = {name: values.get(name) for name in columns.labels}
            said = {n: scalar_text(c) for n, c in cells.items() if c is not None and not is_missing(c)}
            yield row._replace(values={**values, columns.target: said or None})

    def metric(self, name: str, schema: Schema) -> Metric:
        known = {metric.name: metric for metric in (*self.metrics(schema), exact_fields())}
        if name in known:
            return known[name]
        fix = did_you_mean(name, list(known))
        raise RungError(f"document reading has no metric '{name}'", "bar.metric", fix)

    def metrics(self, schema: Schema) -> list[Metric]:
        found: list[Metric] = [reading_accuracy(), CharacterErrorRate(), exact_documents()]
        return [*found, exact_fields()] if field_names(schema) else found

    def parse_target(self, raw: Any) -> Any:
        try:
            return _parsed(raw)
        except ValueError:
            return None

    def read_target(self, raw: Any, field: Field) -> Any:
        return _parsed(raw)

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        documents = sum(targets.values())
        if documents < 10:
            raise DataError(
                f"{documents} training documents are too few to choose from",
                where,
                "Collect at least 10 images with their text; 60 read without mistakes is where a bar of 0.95 can be cleared.",
            )
        kinds = {are_fields(target) for target in targets}
        if len(kinds) > 1:
            raise DataError(
                "some documents have a text, others fields",
                where,
                "Give all documents the same kind of target.",
            )

    def same(self, one: Prediction, other: Prediction) -> bool:
        """Return whether two answers say the same with nearly the same confidence."""
        return one.value == other.value and math.isclose(
            one.score or 0.0, other.score or 0.0, rel_tol=0.0, abs_tol=1e-3
        )

    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        confidence = round(prediction.score or 0.0, 4)
        lines = [line.as_dict() for line in lines_of(prediction.extra.get("lines", ()))]
        if not field_names(schema):
            return {"text": prediction.value, "confidence": confidence, "lines": lines}
        each = prediction.extra.get("field_scores", {}) if scores else {}
        return {
            "fields": dict(fields_of(prediction.value)),
            "confidence": confidence,
            "text": prediction.extra.get("text", ""),
            "lines": lines,
            **({"field_scores": dict(each)} if scores else {}),
        }

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        found = [field for field in schema.outputs if field.name != "field"]
        named = [Field("field_scores", "json", "output")] if scores and field_names(schema) else []
        return [*found, *named]

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return the documents with most mistakes, and of fields how often each was right."""
        rates = [error_rate(truth, answer.value) for truth, answer in zip(truths, answers, strict=True)]
        worst = sorted((i for i, rate in enumerate(rates) if rate > 0), key=lambda i: -rates[i])[:_SHOWN]
        pictures = [
            {
                "index": i,
                "error_rate": round(rates[i], 4),
                "truth": shown_target(truths[i]),
                "answer": shown_target(answers[i].value),
                "lines": [line.as_dict() for line in lines_of(answers[i].extra.get("lines", ()))],
            }
            for i in worst
        ]
        by_field = [
            {"field": name, "documents": n, "right": right, "missed": missed}
            for name, (n, right, missed) in sorted(
                mistakes_by_field(truths, [answer.value for answer in answers]).items()
            )
            if field_names(schema)
        ]
        return {"reading_by_field": by_field, "pictures": pictures, "documents": len(rates)}

    def label_counts(self, targets: Mapping[str, int]) -> Mapping[str, int]:
        """Return how many documents have each field; without fields, that they have a text."""
        counts: Counter[str] = Counter()
        for target, rows in targets.items():
            names = [name for name, _ in _as_fields(target)]
            counts.update(dict.fromkeys(names or ["text"], rows))
        return counts

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        return "reading_accuracy", 0.0

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        images = [c for c in columns if c.role == "input"] or [
            c for c in columns if not c.role and names_images(c.examples)
        ][:1]
        if not images or not all(names_images(c.examples) for c in images):
            return None
        others = [c for c in columns if c not in images and not names_images(c.examples)]
        chosen = [c for c in others if c.role == "target"]
        target = next(iter(chosen or [c for c in others if not c.role and _is_text(c, rows)]), None)
        if target is None or not _is_text(target, rows):
            return None
        reason = f"'{target.name}' holds what stands on the images that '{images[0].name}' names, such as {target.examples[0][:60]!r}"
        return Guess(self.name, 0.96, tuple(c.name for c in images[:1]), target.name, (reason,))

    def tiny(self) -> list[dict[str, Any]]:
        return [{"image": draw_digits(f"{n:05}"), "target": f"{n:05}"} for n in range(10_007, 99_000, 3_711)]


def field_names(schema: Schema) -> tuple[str, ...]:
    """Return the fields that a product reads; () where it reads whole texts."""
    return next((field.values for field in schema.outputs if field.name == "field"), ())


def shown_target(value: str) -> Any:
    """Return a text as it is, fields as an object."""
    return dict(fields_of(value)) if are_fields(value) else value


def _parsed(raw: Any) -> str | None:
    """Return a target: the canonical text of fields (an object or its JSON), else a text; None for nothing.

    Raises ValueError for bad fields.
    """
    if raw is None or (not isinstance(raw, str | Mapping) and is_missing(raw)):
        return None
    if isinstance(raw, Mapping):
        return fields_text(raw) if fields_of(raw) else None
    text = scalar_text(raw).strip()
    if are_fields(text):
        return fields_text(text) if fields_of(text) else None
    return text or None


def _as_fields(target: Any) -> Fields:
    """Return the fields of a target; () for a text."""
    return fields_of(target) if isinstance(target, str) and are_fields(target) else ()


def _is_text(column: ColumnProfile, rows: int) -> bool:
    name = column.name.casefold()
    if name in _CALLED_FIELDS:
        return all(text.lstrip().startswith("{") for text in column.examples)
    different = column.distinct >= _DIFFERENT * max(column.filled, 1)
    if column.role == "target" or name in _CALLED_TEXT:
        return different and column.filled > 0
    return different and column.mean_chars >= 12 and column.numeric < 0.5


_FONT = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711",
    "5": "74717", "6": "74757", "7": "71244", "8": "75757", "9": "75717",
}  # fmt: skip


def draw_digits(text: str) -> bytes:
    """Return a PNG of digits in dark strokes on a light ground: five rows of three cells each, ten pixels a cell."""
    cell, gap = 10, 8
    wide = 3 * cell + gap
    levels = np.full((5 * cell + 40, wide * len(text) + 40), 245, np.uint8)
    for place, char in enumerate(text):
        for row, bits in enumerate(_FONT[char]):
            for column in range(3):
                if int(bits, 8) >> (2 - column) & 1:
                    y, x = 20 + row * cell, 20 + place * wide + column * cell
                    levels[y : y + cell, x : x + cell] = 20
    return write_png(levels)
