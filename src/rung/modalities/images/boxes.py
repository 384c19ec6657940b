"""Boxes on an image: how they are written, read, compared, and thinned out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MAX_BOXES = 10_000
MAX_LABEL_CHARS = 200
# A box may reach so many pixels beyond the image before that is more than rounding.
_ROUNDING = 1.0
_MOST_PIXELS = 1e6
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SIZES = ("x", "y", "width", "height")


class Box(NamedTuple):
    """A labelled rectangle in pixels of the upright image, from its top left corner. score: of an answer, in [0, 1]."""

    label: str
    x: float
    y: float
    width: float
    height: float
    score: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the box as JSON has it: label, score where there is one, and box [x, y, width, height]."""
        scored = {} if self.score is None else {"score": round(self.score, 4)}
        return {"label": self.label, **scored, "box": [round(value, 2) for value in self[1:5]]}


Boxes = tuple[Box, ...]


def boxes_of(value: Any) -> Boxes:
    """Return boxes from any of their forms: a list of dicts, of sequences as `Box` has them, or boxes already.

    A dict has `label`, and `box` as [x, y, width, height], or x, y, width, height, or xmin, ymin, xmax, ymax.
    Raises ValueError, "bad_boxes: reason", for anything else.
    """
    if not isinstance(value, list | tuple):
        raise ValueError("bad_boxes: holds no list of boxes")
    if len(value) > MAX_BOXES:
        raise ValueError(f"bad_boxes: holds {len(value):,} boxes; at most {MAX_BOXES:,} are read")
    return tuple(_box(item, number) for number, item in enumerate(value, 1))


def _box(item: Any, number: int) -> Box:
    if isinstance(item, Box):
        return item
    score = None
    if isinstance(item, Mapping):
        label, numbers, score = item.get("label"), _numbers(item), item.get("score")
    elif isinstance(item, list | tuple) and len(item) in {5, 6}:
        label, numbers, score = item[0], item[1:5], item[5] if len(item) == 6 else None
    else:
        raise ValueError(f"bad_boxes: box {number} is neither an object nor [label, x, y, width, height]")
    if not isinstance(label, str | int) or isinstance(label, bool) or not str(label).strip():
        raise ValueError(f"bad_boxes: box {number} has no label")
    if len(str(label)) > MAX_LABEL_CHARS:
        raise ValueError(f"bad_boxes: the label of box {number} has more than {MAX_LABEL_CHARS} characters")
    x, y, width, height = (_number(value, number) for value in numbers)
    sure = None if score is None else _number(score, number)
    if sure is not None and not 0.0 <= sure <= 1.0:
        raise ValueError(f"bad_boxes: the score of box {number} is {sure:g}, not between 0 and 1")
    return Box(str(label).strip(), x, y, width, height, sure)


def _numbers(item: Mapping[str, Any]) -> Sequence[Any]:
    """Return x, y, width and height of a box that is an object."""
    given = item.get("box", item.get("bbox"))
    if isinstance(given, list | tuple) and len(given) == 4:
        return given
    if all(name in item for name in _SIZES):
        return [item[name] for name in _SIZES]
    if all(name in item for name in _CORNERS):
        return from_corners([item[name] for name in _CORNERS])
    raise ValueError("bad_boxes: a box needs `box: [x, y, width, height]`, or xmin, ymin, xmax and ymax")


def from_corners(corners: Sequence[Any]) -> list[float]:
    """Return x, y, width and height of a box given by its corners. Raises ValueError for what is no number."""
    left, top, right, bottom = (_number(value, 0) for value in corners)
    return [left, top, right - left, bottom - top]


def _number(value: Any, number: int) -> float:
    where = f"box {number}" if number else "a box"
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not (math.isfinite(found) and abs(found) <= _MOST_PIXELS):
        raise ValueError(f"bad_boxes: {where} holds '{str(value)[:40]}', which is no number of pixels")
    return found


def fitted(boxes: Boxes, width: float, height: float) -> tuple[Boxes, Counter[str]]:
    """Return boxes cut at the edges of an image, repeats left out, and how many were cut or repeated.

    width, height: of the upright image, in pixels. Cutting at most a pixel is rounding and not counted. Raises
    ValueError, "bad_boxes: reason", for a box without area and for one that lies outside the image.
    """
    notes: Counter[str] = Counter()
    kept: dict[tuple[Any, ...], Box] = {}
    for number, box in enumerate(boxes, 1):
        if box.width <= 0 or box.height <= 0:
            raise ValueError(
                f"bad_boxes: box {number} ({box.label}) is {box.width:g} x {box.height:g} pixels: it has no area"
            )
        left, top = max(box.x, 0.0), max(box.y, 0.0)
        right, bottom = min(box.x + box.width, width), min(box.y + box.height, height)
        if right <= left or bottom <= top:
            raise ValueError(
                f"bad_boxes: box {number} ({box.label}) at {box.x:g}, {box.y:g} lies outside the image of {width:g} x {height:g} pixels"
            )
        beyond = max(left - box.x, top - box.y, box.x + box.width - right, box.y + box.height - bottom)
        if beyond > _ROUNDING:
            notes["cut"] += 1
        cut = Box(box.label, left, top, right - left, bottom - top, box.score)
        notes["repeated"] += cut[:5] in kept
        kept.setdefault(cut[:5], cut)
    return tuple(kept.values()), +notes


def corners_of(boxes: Sequence[Box]) -> Floats:
    """Return [boxes, 4]: left, top, right and bottom of each."""
    found = np.array([box[1:5] for box in boxes], np.float64).reshape(len(boxes), 4)
    found[:, 2:] += found[:, :2]
    return found


def overlaps(one: Floats, other: Floats) -> Floats:
    """Return [one, other]: the area that two rectangles share over the area that both cover (IoU), in [0, 1]."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    areas = [np.prod(part[:, 2:] - part[:, :2], axis=-1) for part in (one, other)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None, :] - shared, 1e-12))


def suppress(
    corners: Floats, scores: Floats, labels: npt.NDArray[np.int64], most_overlap: float
) -> list[int]:
    """Return which rectangles to keep, the surest first: none overlaps a surer one of its label by more.

    Greedy non-maximum suppression within each label. Ties go to the rectangle that comes first.
    """
    order = np.argsort(-scores, kind="stable")
    shared = overlaps(corners, corners) > most_overlap
    shared &= labels[:, None] == labels[None, :]
    gone = np.zeros(len(order), bool)
    kept = []
    for place in order.tolist():
        if not gone[place]:
            kept.append(place)
            gone |= shared[place]
    return kept
