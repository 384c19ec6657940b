"""Decide from the whole source how the cells of the target and of the time column are written.

Formats of input columns are decided from training rows, by `modalities.tables.type_inference`. The target and the time
must be read before any row has a side, so their cells alone are looked at, as the delimiter of a file is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from rung.core.certificate_lock import CertificateLock
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Field, Row, Schema
from rung.data.sources.read import Source, read_rows
from rung.modalities.tables.dates import day_month_order
from rung.modalities.tables.moments import parse_time
from rung.modalities.tables.numbers import decimal_mark
from rung.runtime.classification.task import MISSING_LABELS

# Where the first rows hold plain numbers and ISO dates alone, the others are taken to be like them.
_FIRST_ROWS, _MOST_ROWS = 20_000, 1_000_000
# Longer than a number, a date, or most lists of labels; what is longer tells no format.
_MOST_CHARS = 120


@dataclass(frozen=True)
class SourceFormats:
    """How rows of a source are read: the schema with the target's format, and the order of days and months of the time.

    is_v1: rows are told apart as version 0.1 did, which froze the split of this product.
    """

    schema: Schema
    time: str = ""
    is_v1: bool = False

    @property
    def target(self) -> Field:
        """Return the field of the target."""
        return self.schema.outputs[0]


def decide_formats(source: Source, product: Product, task: Task, lock: CertificateLock) -> SourceFormats:
    """Return how the rows of a product's source are read."""
    data = product.data
    schema = task.schema(data.input, [])
    target = with_spec_labels(schema.outputs[0], product)
    by_column = type(task).target_field is not Task.target_field and data.target in source.columns
    wanted = [data.target] if by_column else []
    wanted += [data.time] if data.time and data.time in source.columns else []
    cells = _cells(source, wanted)
    target = task.target_field(target, cells.get(data.target, {}))
    formats = SourceFormats(replace(schema, outputs=(target, *schema.outputs[1:])))
    if data.time in cells and any(not _is_plain(text) for text in cells[data.time]):
        formats = replace(formats, time=day_month_order(cells[data.time]))
    return replace(formats, is_v1=is_split_of_v1(product, lock))


def shown_formats(schema: Schema, formats: SourceFormats, product: Product) -> dict[str, dict[str, Any]]:
    """Return the format of each column that has one to speak of, for the plan and the report."""
    fields = {field.name: field for field in schema.inputs} | {product.data.target: schema.outputs[0]}
    found = {name: shown_format(field) for name, field in fields.items()}
    if product.data.time and formats.time:
        found.setdefault(product.data.time, {"order": formats.time})
    return {name: shown for name, shown in found.items() if shown}


def shown_format(field: Field) -> dict[str, Any]:
    """Return what was decided about the cells of a column; {} where there was nothing to decide."""
    found = field.format.as_dict() if field.format else {}
    # Of a text it is what the product asks of it, which is no matter of its cells.
    if field.form and field.kind != "text":
        found[{"time": "order", "labels": "separator"}.get(field.kind, "unit")] = field.form
    if field.kind in {"number", "time"} and field.values:
        found["words"] = list(field.values)
    return found


def is_split_of_v1(product: Product, lock: CertificateLock) -> bool:
    """Return whether the split of a product was frozen by version 0.1, which told rows apart otherwise."""
    key = f"{product.data.identity} -> {product.data.target}"
    rules = [rule for name in (key, f"{key}: all rows train") if (rule := lock.rule(name)) is not None]
    return bool(rules) and not any("scalars" in rule for rule in rules)


def with_spec_labels(target: Field, product: Product) -> Field:
    """Return the field of the target with the labels that the spec names, and words that are labels because it says so."""
    known = [*(product.labelling.labels if product.labelling else ()), *product.improve.labels]
    if product.data.missing_labels is not None:
        known += sorted(MISSING_LABELS - {"", *product.data.missing_labels})
    if target.kind == "labels":
        named = tuple(dict.fromkeys((*known, *product.data.label_columns)))
        return replace(target, values=named, form=product.data.separator or "")
    return replace(target, values=tuple(dict.fromkeys(known))) if target.kind == "category" else target


def _cells(source: Source, columns: list[str]) -> dict[str, Counter[str]]:
    """Return how often each cell stands in these columns: in the first rows, or in all where the first are not plain."""
    if not columns:
        return {}
    found: dict[str, Counter[str]] = {name: Counter() for name in columns}
    rows = read_rows(source)
    _count(islice(rows, _FIRST_ROWS), found)
    if not all(_is_plain(text) for counter in found.values() for text in counter):
        _count(islice(rows, _MOST_ROWS), found)
    return found


def _count(rows: Iterator[Row], found: dict[str, Counter[str]]) -> None:
    for row in rows:
        values: dict[str, Any] = row.values or {}
        for name, counter in found.items():
            cell = values.get(name)
            if type(cell) is str and len(cell) <= _MOST_CHARS:
                counter[cell] += 1


def _is_plain(text: str) -> bool:
    """Return whether a cell reads alike in every format."""
    try:
        float(text)
    except ValueError:
        return not text.strip() or ("/" not in text and parse_time(text) is not None)
    return decimal_mark(text) != "?"
