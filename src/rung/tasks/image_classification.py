"""One label of several for an image: garments, digits, defects, species, kinds of document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.task import ColumnProfile, Guess
from rung.core.types import Field, Schema
from rung.modalities.images.file_names import names_images
from rung.modalities.images.png import write_png
from rung.runtime.classification.task import MAX_LABELS, ClassificationTask

_TINY_SIDE = 20


class ImageClassification(ClassificationTask):
    """An image goes in, one of at least two labels comes out, with a probability."""

    name = "image_classification"
    title = "Image classification: one label of several for each image"
    floor = "majority"
    kind = "image classification"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        labels = tuple(sorted({str(target) for target in targets}))
        return Schema(
            tuple(Field(name, "image", "input") for name in inputs),
            (Field("label", "category", "output", labels),),
        )

    def default_inputs(self, columns: Sequence[str]) -> tuple[str, ...]:
        return ("image",)

    def tiny(self) -> list[dict[str, Any]]:
        rng = np.random.default_rng(0)
        return [
            {"image": write_png(_draw(shape, rng)), "target": shape}
            for shape in ("disc", "stripes")
            for _ in range(12)
        ]

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        images = [c for c in columns if c.role == "input"] or [
            c for c in columns if not c.role and _is_images(c)
        ][:1]
        chosen = [c for c in columns if c.role == "target"]
        likely = [
            c
            for c in columns
            if not c.role
            and c not in images
            and not _is_images(c)
            and 2 <= c.distinct <= min(MAX_LABELS, rows // 2)
        ]
        label = min(chosen or likely, key=lambda c: (not _is_called_label(c), c.distinct), default=None)
        if not images or label is None or label.distinct < 2 or not all(map(_is_images, images)):
            return None
        image = images[0]
        reasons = (
            f"'{image.name}' names image files, such as {', '.join(map(repr, image.examples[:2]))}",
            f"'{label.name}' holds {label.distinct} different values, such as {', '.join(map(repr, label.examples[:3]))}",
        )
        return Guess(self.name, 0.95, tuple(c.name for c in images), label.name, reasons)


def _is_images(column: ColumnProfile) -> bool:
    return names_images(column.examples)


def _is_called_label(column: ColumnProfile) -> bool:
    return column.name.casefold() in {"label", "class", "category", "target", "标签", "类别", "分类"}


def _draw(shape: str, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return a small drawing in colour: a disc or stripes, somewhere, with noise."""
    y, x = np.mgrid[0:_TINY_SIDE, 0:_TINY_SIDE]
    if shape == "disc":
        middle, radius = rng.integers(8, 12, 2), rng.integers(4, 8)
        ink = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < radius**2
    else:
        ink = (x + rng.integers(0, 6)) % 6 < 3
    levels = np.where(ink[..., None], rng.integers(120, 256, 3), rng.integers(0, 80, 3))
    return (levels + rng.normal(0, 8, (_TINY_SIDE, _TINY_SIDE, 3))).clip(0, 255).astype(np.uint8)
