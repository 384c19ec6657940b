"""Fields of a text: who sent it, what it costs, when it is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.field_values import field_values, fields_text, folded_fields, hits_and_misses, read_fields
from rung.core.metrics.base import Metric
from rung.core.scalars import is_null, scalar_text
from rung.core.task import ColumnProfile, ColumnRoles, Guess, Settled, Task
from rung.core.types import Field, Prediction, Row, Schema
from rung.modalities.text.field_metrics import (
    ExactMatch,
    FieldAccuracy,
    ValueF1,
    ValueMetric,
    ValuePrecision,
    ValueRecall,
)
from rung.modalities.text.ngrams import join_fields, normalize_text
from rung.modalities.text.spans import find_value, most_in_all, most_values

MAX_FIELDS = 64
_OF_VALUES: Mapping[str, type[ValueMetric]] = {
    "f1": ValueF1, "precision": ValuePrecision, "recall": ValueRecall,
}  # fmt: skip
# Mistakes that a report shows.
_SHOWN = 20


class TextExtraction(Task):
    """A text goes in; for each field the values that stand in it come out, each with its place."""

    name = "text_extraction"
    title = "Extraction: the fields of a text, such as names, amounts and dates"
    floor = "no_fields"
    default_metric = "micro_f1"
    default_target = "fields"
    takes_label_columns = True

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        """Return a field of all values, and one for each name; its form: the most values of it that a training row has,
        and the most of all fields together, "2 of 6".
        """
        most: dict[str, int] = {}
        in_all = 1
        for target in targets:
            found = field_values(_parsed(target))
            in_all = max(in_all, sum(map(len, found.values())))
            for name, values in found.items():
                most[name] = max(most.get(name, 0), len(values))
        return Schema(
            tuple(Field(name, "text", "input") for name in inputs),
            (
                Field("fields", "values", "output"),
                *(Field(name, "list", "output", form=f"{most[name]} of {in_all}") for name in sorted(most)),
            ),
        )

    def source_columns(self, columns: ColumnRoles) -> tuple[str, ...]:
        return (*columns.inputs, *(columns.labels or (columns.target,)))

    def reshape(self, rows: Iterator[Row], columns: ColumnRoles) -> Iterator[Row]:
        """Yield the rows with the values of the columns that are fields as their target; others pass through."""
        for row in rows:
            # Rows of feedback have their target already.
            if not columns.labels or row.values is None or row.values.get(columns.target) is not None:
                yield row
                continue
            cells = {name: row.values.get(name) for name in columns.labels}
            found = {name: (scalar_text(cell),) for name, cell in cells.items() if not is_null(cell)}
            yield row._replace(values={**row.values, columns.target: fields_text(found)})

    def refuse_input(self, inputs: Mapping[str, Any]) -> str:
        if all(value is None or not str(value).strip() for value in inputs.values()):
            return f"no text in {', '.join(inputs)}"
        return ""

    def dedup_key(self, inputs: Mapping[str, Any]) -> str:
        return normalize_text(join_fields({name: [value] for name, value in inputs.items()})[0])

    def parse_target(self, raw: Any) -> str | None:
        try:
            return read_fields(raw)
        except ValueError:
            return None

    def read_target(self, raw: Any, field: Field) -> str | None:
        return read_fields(raw)

    def settle(self, inputs: Mapping[str, Any], target: Any) -> Settled:
        """Return the target as it is; values that do not stand in the text are counted: no model that marks can find them."""
        (text,) = join_fields({name: [value] for name, value in inputs.items()})
        values = [value for found in field_values(_parsed(target)).values() for value in found]
        absent = sum(not find_value(text, value) for value in values)
        return Settled(target, "", {"values_not_in_text": absent} if absent else {})

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        rows, counts = sum(targets.values()), self.label_counts(targets)
        if not counts:
            raise DataError(
                f"none of the {rows:,} training rows has a value: there is nothing to find",
                where,
                "Check `data.target`: a JSON object of field and value; or name the fields' columns in `data.label_columns`.",
            )
        if rows < 20:
            raise DataError(
                f"{rows} training rows are too few to learn from",
                where,
                "Collect at least 20; a few hundred is where results become useful.",
            )
        if len(counts) > MAX_FIELDS:
            raise DataError(
                f"the target has {len(counts):,} different fields; at most {MAX_FIELDS} can be learned",
                where,
                "Are its keys names of fields, or values?",
            )

    def metric(self, name: str, schema: Schema) -> Metric:
        most = most_values(schema)
        known = {metric.name: metric for metric in self.metrics(schema)}
        kind, colon, field = name.partition(":")
        if name in known:
            return known[name]
        if kind in _OF_VALUES and colon:
            if most and field not in most:
                fix = did_you_mean(field, most)
                raise RungError(f"the metric '{name}' names no field of the data", "bar.metric", fix)
            return _OF_VALUES[kind](name, {field: most.get(field, 1)}, most.get(field, 1))
        fix = did_you_mean(name, [*known, *(f"{kind}:<field>" for kind in _OF_VALUES)])
        raise RungError(f"extraction has no metric '{name}'", "bar.metric", fix)

    def metrics(self, schema: Schema) -> list[Metric]:
        most, in_all = most_values(schema), most_in_all(schema)
        return [
            *(of(name, most, in_all) for name, of in (("micro_f1", ValueF1), ("precision", ValuePrecision), ("recall", ValueRecall))),
            ExactMatch("exact_match"), FieldAccuracy("field_accuracy", list(most)),
        ]  # fmt: skip

    def same(self, one: Prediction, other: Prediction) -> bool:
        return folded_fields(one.value) == folded_fields(other.value)

    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        """Return the values of each field, and where each stands in the text as the model read it."""
        found = {name: list(values) for name, values in field_values(str(prediction.value)).items()}
        places = prediction.extra.get("places", [])
        return {"fields": found, "places": [dict(place) for place in places]}

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        return [schema.outputs[0], Field("places", "json", "output")]

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return counts, precision, recall and F1 of each field, and rows with mistakes, most mistakes first."""
        most = most_values(schema)
        total = {name: [0, 0, 0] for name in most}
        wrong: list[tuple[int, int]] = []
        for row, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
            counts = hits_and_misses(str(truth), str(answer.value), most)
            for name, found in counts.items():
                total[name] = [a + b for a, b in zip(total[name], found, strict=True)]
            off = sum(false + missed for _, false, missed in counts.values())
            if off:
                wrong.append((off, row))
        wrong.sort(key=lambda item: -item[0])
        return {
            "per_label": [
                {
                    "label": name, "rows": hits + missed, "answers": hits + false, "right": hits,
                    "precision": round(hits / (hits + false), 4) if hits + false else None,
                    "recall": round(hits / (hits + missed), 4) if hits + missed else None,
                    "f1": round(2 * hits / max(2 * hits + false + missed, 1), 4),
                }
                for name, (hits, false, missed) in total.items()
            ],
            "mistakes": [
                {
                    "index": row, "truth": _shown(truths[row]), "answer": _shown(answers[row].value),
                    "probability": round(answers[row].score or 0, 4),
                }
                for _, row in wrong[:_SHOWN]
            ],
        }  # fmt: skip

    def label_counts(self, targets: Mapping[Any, int]) -> Mapping[str, int]:
        """Return how many rows have a value of each field."""
        counts: Counter[str] = Counter()
        for target, rows in targets.items():
            counts.update(dict.fromkeys(field_values(_parsed(target)), rows))
        return counts

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        """Return F1 of values and what no values reach: nothing."""
        return "micro_f1", 0.0

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        chosen = [c for c in columns if c.role == "target"]
        objects = [c for c in chosen or columns if c.role in {"", "target"} and _holds_objects(c)]
        texts = [c for c in columns if c.role == "input"] or [
            c for c in columns if not c.role and c not in objects and c.numeric < 0.5 and c.mean_chars >= 8
        ]
        if not objects or not texts:
            return None
        text = max(texts, key=lambda c: c.mean_chars)
        reasons = (
            f"'{text.name}' holds texts: {text.mean_chars:.0f} characters on average",
            f"'{objects[0].name}' holds objects of field and value, such as {objects[0].examples[0][:60]}",
        )
        return Guess(self.name, 0.95, (text.name,), objects[0].name, reasons)

    def tiny(self) -> list[dict[str, Any]]:
        rows = []
        names = ("Ann Lee", "Bob Stone", "Carla Ruiz", "Dan Wu", "王芳", "李伟")
        for i in range(36):
            who, amount = names[i % len(names)], f"{10 + 7 * i}"
            if i % 3 == 2:
                text, money = f"{who}支付了{amount}元，编号 {1000 + 37 * i}。", f"{amount}元"
            elif i % 3 == 1:
                text, money = f"Payment no. {1000 + 37 * i}: ${amount} received from {who}.", f"${amount}"
            else:
                text, money = f"Dear sir, {who} paid ${amount} for order {1000 + 37 * i}.", f"${amount}"
            found = {"payer": (who,), "amount": (money,)} if i % 5 else {"payer": (who,)}
            if not i % 5:
                text = f"{who} asks for a refund." if i % 3 != 2 else f"{who}申请退款。"
            rows.append({"text": text, "target": fields_text(found)})
        return rows


def _parsed(target: Any) -> str:
    """Return the canonical text of a target, or of its cell in a table; that of no field for what holds none."""
    try:
        return read_fields(target) or fields_text({})
    except ValueError:
        return fields_text({})


def _shown(value: Any) -> str:
    pairs = field_values(str(value)).items()
    return "; ".join(f"{name}: {', '.join(found)}" for name, found in pairs) or "—"


def _holds_objects(column: ColumnProfile) -> bool:
    return bool(column.examples) and all(
        text.lstrip().startswith("{") and text.rstrip().endswith(("}", "…")) for text in column.examples
    )
