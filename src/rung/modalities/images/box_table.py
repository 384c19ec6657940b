"""A table with a row per box becomes one with a row per image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.core.scalars import is_missing, scalar_text
from rung.core.types import Row
from rung.modalities.images.boxes import Box, boxes_of, from_corners

_LABELS = ("label", "class", "class_name", "category", "name", "标签", "类别")
# What the columns of a box may be called: sizes, then corners.
_SIZES = (
    ("x", "left", "bbox_x"), ("y", "top", "bbox_y"), ("width", "w", "bbox_width"), ("height", "h", "bbox_height"),
)  # fmt: skip
_CORNERS = (
    ("xmin", "x_min", "x1", "left"), ("ymin", "y_min", "y1", "top"), ("xmax", "x_max", "x2", "right"),
    ("ymax", "y_max", "y2", "bottom"),
)  # fmt: skip


@dataclass(frozen=True)
class _Columns:
    """Which columns hold the four numbers of a box and its label. corners: the numbers are corners, not sizes."""

    numbers: tuple[str, ...]
    label: str
    corners: bool


@dataclass
class _Image:
    """The boxes of one image so far. problem: why they cannot be used."""

    file: str
    number: int
    kept: dict[str, Any]
    folder: Path | None = None
    boxes: list[Box] = field(default_factory=list)
    problem: str = ""
    hash: int = 0


def is_box_table(values: Mapping[str, Any]) -> bool:
    """Return whether a row has the columns of a box: a label, and x, y, width, height or xmin, ymin, xmax, ymax."""
    return _columns(values) is not None


def boxes_by_image(rows: Iterator[Row], image: str, target: str, kept: Sequence[str]) -> Iterator[Row]:
    """Yield a row per image with its boxes under `target`, in the order in which images first appear.

    kept: other columns that the row keeps; the rows of an image must agree on them. A row without label and numbers says
    that its image has no boxes. A row with a box that cannot be read makes its whole image unusable: it would be learned
    from as if the box were not there. A row that could not be read as a whole passes through.
    """
    # Tables of one source may name different files alike.
    found: dict[tuple[Path | None, str], _Image] = {}
    columns: _Columns | None = None
    for row in rows:
        if row.values is None:
            yield row
            continue
        columns = columns or _columns(row.values)
        name = row.values.get(image)
        if columns is None or not isinstance(name, str) or not name.strip():
            yield row
            continue
        others = {column: row.values.get(column) for column in kept}
        known = found.setdefault((row.folder, name), _Image(row.file, row.number, others, row.folder))
        known.number = row.number
        known.problem = known.problem or _differs(known.kept, others, row) or _add(known, columns, row)
    for (folder, name), known in found.items():
        if known.problem:
            yield Row(known.file, known.number, None, known.problem, known.hash)
        else:
            values = {image: name, **known.kept, target: known.boxes}
            yield Row(known.file, known.number, values, folder=folder)


def _differs(before: Mapping[str, Any], now: Mapping[str, Any], row: Row) -> str:
    for column, value in now.items():
        if value != before[column]:
            return f"contradictory_rows: row {row.number} has '{value}' in '{column}', an earlier row of the image '{before[column]}'"
    return ""


def _add(known: _Image, columns: _Columns, row: Row) -> str:
    """Add the box of a row; return why it cannot be read, as "reason: detail"."""
    values = row.values or {}
    cells = [values.get(name) for name in columns.numbers]
    label = values.get(columns.label)
    if all(cell is None or is_missing(cell) for cell in (*cells, label)):
        return ""
    if label is None or is_missing(label):
        return f"bad_boxes: row {row.number} has a box without a label"
    try:
        numbers = from_corners(cells) if columns.corners else cells
        (box,) = boxes_of([[scalar_text(label), *numbers]])
    except ValueError as error:
        return f"bad_boxes: row {row.number}: {str(error).partition(': ')[2]}"
    known.boxes.append(box)
    return ""


def _columns(values: Mapping[str, Any]) -> _Columns | None:
    """Return the columns of a box among those of a row; None when one is missing."""
    names = {name.casefold(): name for name in values}
    label = next((names[word] for word in _LABELS if word in names), None)
    for words, corners in ((_CORNERS, True), (_SIZES, False)):
        numbers = [next((names[word] for word in side if word in names), None) for side in words]
        if label is not None and all(numbers):
            return _Columns(tuple(map(str, numbers)), label, corners)
    return None
