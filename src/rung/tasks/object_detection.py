"""Where things are in an image, and what they are: people, cars, defects, tree crowns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from rung.core.blobs import Blob
from rung.core.errors import DataError, RungError, did_you_mean
from rung.core.metrics.base import Metric
from rung.core.task import ColumnProfile, ColumnRoles, Guess, Settled, Task
from rung.core.types import Field, Prediction, Row, Schema
from rung.modalities.images.box_metrics import (
    AveragePrecision,
    FalseBoxes,
    image_f1,
    matched,
    precision,
    recall,
)
from rung.modalities.images.box_table import boxes_by_image, is_box_table
from rung.modalities.images.boxes import Box, Boxes, boxes_of, corners_of, fitted, overlaps
from rung.modalities.images.boxes_kind import parse_boxes
from rung.modalities.images.png import write_png

MAX_LABELS = 1_000
_BY_OVERLAP: Mapping[str, Callable[[float, str], Metric]] = {
    "box_f1": image_f1,
    "box_recall": recall,
    "box_precision": precision,
    "false_boxes": FalseBoxes,
}
# Images that a report shows with their boxes.
_SHOWN = 8
_TINY_SIDE = 64


class ObjectDetection(Task):
    """An image goes in, boxes come out, each with a label and a score."""

    name = "object_detection"
    title = "Object detection: boxes with labels on each image"
    floor = "no_boxes"
    default_metric = "box_f1"
    default_target = "boxes"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        return Schema(
            tuple(Field(name, "image", "input") for name in inputs),
            (Field("boxes", "boxes", "output"), Field("label", "category", "output", _labels(targets))),
        )

    def default_inputs(self, columns: Sequence[str]) -> tuple[str, ...]:
        return ("image",)

    def source_columns(self, columns: ColumnRoles) -> tuple[str, ...]:
        """Return the columns of the images: boxes stand in one column, or in several of a table with a row per box."""
        return columns.inputs

    def reshape(self, rows: Iterator[Row], columns: ColumnRoles) -> Iterator[Row]:
        """Return a row per image. A table with a row per box becomes one; other rows pass through."""
        unread, first = [], None
        for row in rows:
            if row.values is not None:
                first = row
                break
            unread.append(row)
        yield from unread
        if first is None or first.values is None:
            return
        rest = chain((first,), rows)
        if columns.target not in first.values and is_box_table(first.values):
            kept = tuple(filter(None, (columns.group, columns.time)))
            yield from boxes_by_image(rest, columns.inputs[0], columns.target, kept)
        else:
            yield from rest

    def metric(self, name: str, schema: Schema) -> Metric:
        known = {metric.name: metric for metric in self.metrics(schema)}
        kind, _, share = name.partition(":")
        if name in known:
            return known[name]
        if kind in _BY_OVERLAP and share:
            try:
                overlap = float(share)
            except ValueError:
                overlap = 0.0
            if not 0.0 < overlap <= 1.0:
                raise RungError(f"'{name}' says no overlap", "bar.metric", f"Write {kind}:0.75, say.")
            return _BY_OVERLAP[kind](overlap, name)
        fix = did_you_mean(name, [*known, "box_recall:0.75"])
        raise RungError(f"object detection has no metric '{name}'", "bar.metric", fix)

    def metrics(self, schema: Schema) -> list[Metric]:
        return [
            image_f1(), recall(), precision(), FalseBoxes(), AveragePrecision("map50", (0.5,)), AveragePrecision("map")
        ]  # fmt: skip

    def parse_target(self, raw: Any) -> Boxes | None:
        try:
            return parse_boxes(raw)
        except ValueError:
            return None

    def read_target(self, raw: Any, field: Field) -> Boxes | None:
        return parse_boxes(raw)

    def settle(self, inputs: Mapping[str, Any], target: Any) -> Settled:
        """Return the boxes cut at the edges of the image, repeats left out; refuses those outside and without area."""
        image = next((value for value in inputs.values() if isinstance(value, Blob)), None)
        try:
            # What people drew comes as JSON.
            drawn = parse_boxes(target) or ()
            if image is None or not image.measures.get("width"):
                return Settled(drawn)
            boxes, notes = fitted(drawn, image.measures["width"], image.measures["height"])
        except ValueError as error:
            return Settled(target, str(error))
        return Settled(boxes, "", {f"boxes_{what}": n for what, n in notes.items()})

    def check(self, targets: Mapping[Any, int], where: str) -> None:
        images = sum(targets.values())
        counts: Counter[str] = Counter()
        for target, rows in targets.items():
            counts.update({label: n * rows for label, n in Counter(b.label for b in _parsed(target)).items()})
        if not counts:
            raise DataError(
                f"none of the {images:,} training images has a box: there is nothing to find",
                where,
                "Check `data.target` and where the boxes stand.",
            )
        if images < 10:
            raise DataError(
                f"{images} training images are too few to learn from",
                where,
                "Collect at least 10; 100 images with a few boxes each is where results become useful.",
            )
        if len(counts) > MAX_LABELS:
            raise DataError(
                f"the boxes have {len(counts):,} different labels; at most {MAX_LABELS:,} can be learned",
                where,
                "Is the label column one of names, or of ids?",
            )

    def same(self, one: Prediction, other: Prediction) -> bool:
        """Return whether two answers have the same boxes: labels equal, nearly all of every area shared, scores within
        1e-3. A box whose score lies at the threshold may be in one of them alone.
        """
        a, b = boxes_of(one.value), boxes_of(other.value)
        if abs(len(a) - len(b)) > 1:
            return False
        few, many = sorted((a, b), key=len)
        shared = overlaps(corners_of(few), corners_of(many))
        left = set(range(len(many)))
        for place, box in enumerate(few):
            fits = [i for i in left if many[i].label == box.label and shared[place, i] >= 0.98]
            best = max(fits, key=lambda i, place=place: shared[place, i], default=None)  # type: ignore[misc]
            if best is None or abs((box.score or 0.0) - (many[best].score or 0.0)) > 1e-3:
                return False
            left.remove(best)
        threshold = one.extra.get("threshold")
        return all(threshold is not None and abs((many[i].score or 0.0) - threshold) <= 1e-3 for i in left)

    def response(self, prediction: Prediction, schema: Schema, scores: bool) -> dict[str, Any]:
        return {"boxes": [box.as_dict() for box in boxes_of(prediction.value)]}

    def columns(self, schema: Schema, scores: bool) -> list[Field]:
        return list(schema.outputs[:1])

    def details(self, truths: Sequence[Any], answers: Sequence[Prediction], schema: Schema) -> dict[str, Any]:
        """Return found, missed and false boxes of each label, and images with mistakes, most of them first."""
        labels: dict[str, dict[str, int]] = {}
        pictures: list[dict[str, Any]] = []
        for index, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
            pairs, true, said = matched(truth, answer.value), boxes_of(truth), boxes_of(answer.value)
            hit, found = {a for a, _ in pairs.hits}, {t for _, t in pairs.hits}
            parts = {
                "found": [box for i, box in enumerate(said) if i in hit],
                "missed": [box for i, box in enumerate(true) if i not in found],
                "wrong": [box for i, box in enumerate(said) if i not in hit],
            }
            for part, boxes in parts.items():
                for box in boxes:
                    labels.setdefault(box.label, dict.fromkeys(parts, 0))[part] += 1
            if pairs.missed or pairs.false:
                drawn = {part: [box.as_dict() for box in boxes] for part, boxes in parts.items()}
                pictures.append({"index": index, **drawn})
        pictures.sort(key=lambda picture: -len(picture["missed"]) - len(picture["wrong"]))
        by_label = [{"label": label, **counts} for label, counts in sorted(labels.items())]
        return {"boxes_by_label": by_label, "pictures": pictures[:_SHOWN]}

    def label_counts(self, targets: Mapping[str, int]) -> Mapping[str, int]:
        """Return on how many images each label has a box."""
        counts: Counter[str] = Counter()
        for target, rows in targets.items():
            counts.update(dict.fromkeys({box.label for box in _parsed(target)}, rows))
        return counts

    def floor_score(self, counts: Mapping[str, int]) -> tuple[str, float]:
        """Return F1 of boxes and what no boxes reach: the share of images without any."""
        empty = sum(n for cell, n in counts.items() if not _parsed(cell))
        return "box_f1", empty / max(sum(counts.values()), 1)

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        by_name = {column.name: column for column in columns}
        target = next((c for c in columns if c.role == "target"), by_name.get("boxes"))
        image = next((c for c in columns if c.role == "input"), by_name.get("image"))
        if target is None or image is None or not all(text.startswith("[") for text in target.examples):
            return None
        reasons = (f"'{target.name}' holds boxes on the images that '{image.name}' names",)
        return Guess(self.name, 0.97, (image.name,), target.name, reasons)

    def tiny(self) -> list[dict[str, Any]]:
        rng = np.random.default_rng(0)
        return [_draw(rng, number % 4) for number in range(24)]


def _parsed(target: Any) -> Boxes:
    """Return the boxes of a target, or of its cell in a table; none for what holds no boxes."""
    try:
        return parse_boxes(target) or ()
    except ValueError:
        return ()


def _labels(targets: Sequence[Any]) -> tuple[str, ...]:
    return tuple(sorted({box.label for target in targets for box in _parsed(target)}))


def _draw(rng: np.random.Generator, count: int) -> dict[str, Any]:
    """Return a dark drawing with some bright squares, and their boxes."""
    levels = rng.integers(0, 40, (_TINY_SIDE, _TINY_SIDE, 3))
    boxes = []
    for place in rng.permutation(4)[:count].tolist():
        side = int(rng.integers(14, 22))
        x, y = 5 + 32 * (place % 2), 5 + 32 * (place // 2)
        levels[y : y + side, x : x + side] = rng.integers(190, 256, 3)
        boxes.append(Box("square", x, y, side, side))
    return {"image": write_png(levels.astype(np.uint8)), "target": tuple(boxes)}
