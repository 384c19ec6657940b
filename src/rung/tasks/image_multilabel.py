"""Images with any number of labels each: what a photo shows, defects of a part, what a drawing is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.label_sets import set_text
from rung.core.task import ColumnProfile, Guess
from rung.core.types import Field, Schema
from rung.modalities.images.file_names import names_images
from rung.modalities.images.png import write_png
from rung.runtime.classification.set_task import LabelSetTask, set_reason, set_target

_TINY_SIDE = 20
_TINY_SETS = ((), ("bar",), ("disc",), ("bar", "disc"))


class ImageMultilabel(LabelSetTask):
    """An image goes in, any number of known labels comes out, with a probability for each."""

    name = "image_multilabel"
    title = "Image classification: any number of labels for each image"
    one_label = "image_classification"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        return Schema(tuple(Field(name, "image", "input") for name in inputs), (self.label_field(targets),))

    def default_inputs(self, columns: Sequence[str]) -> tuple[str, ...]:
        return ("image",)

    def tiny(self) -> list[dict[str, Any]]:
        rng = np.random.default_rng(0)
        return [
            {"image": write_png(_draw(labels, rng)), "target": set_text(labels)}
            for _ in range(8)
            for labels in _TINY_SETS
        ]

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        target = set_target(columns)
        if target is None:
            return None
        images = [c for c in columns if c.role == "input"] or [
            c for c in columns if not c.role and c is not target and names_images(c.examples)
        ][:1]
        if not images or not all(names_images(c.examples) for c in images):
            return None
        shown = ", ".join(map(repr, images[0].examples[:2]))
        names = f"'{images[0].name}' names image files, such as {shown}"
        return Guess(self.name, 0.96, tuple(c.name for c in images), target.name, (names, set_reason(target)))


def _draw(labels: Sequence[str], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return a small drawing in grey with noise: a disc in its upper half, a bar at its foot, both or neither."""
    y, x = np.mgrid[0:_TINY_SIDE, 0:_TINY_SIDE]
    ink = np.zeros((_TINY_SIDE, _TINY_SIDE), bool)
    if "disc" in labels:
        ink |= (y - 6) ** 2 + (x - rng.integers(7, 13)) ** 2 < rng.integers(4, 6) ** 2
    if "bar" in labels:
        ink |= (y >= 15) & (y < 18)
    levels = np.where(ink, rng.integers(170, 256), rng.integers(0, 60))
    return (levels + rng.normal(0, 8, levels.shape)).clip(0, 255).astype(np.uint8)
