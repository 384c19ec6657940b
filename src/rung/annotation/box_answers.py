"""Boxes that people draw on an image, as an answer: read, checked, written."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rung.core.errors import InputError, did_you_mean
from rung.data.labels.consensus import CANNOT
from rung.modalities.images.boxes_kind import parse_boxes


def labels_in(answer: str | None) -> set[str]:
    """Return the labels of the boxes that an answer holds; none for one that holds no boxes."""
    if answer is None or answer == CANNOT:
        return set()
    return {box.label for box in parse_boxes(answer) or ()}


def boxes_text(answer: str | None, labels: Sequence[str], most_chars: int) -> str:
    """Return boxes as they are stored, JSON of [label, x, y, width, height] each; raises InputError for others."""
    try:
        boxes = parse_boxes(answer)
    except ValueError as error:
        raise InputError(
            f"the boxes cannot be used: {str(error).partition(': ')[2]}", "label", "Draw them again."
        ) from None
    if boxes is None:
        raise InputError("an answer without boxes is an empty list", "label", "Send [].")
    for box in boxes:
        if box.label not in labels:
            raise InputError(
                f"'{box.label}' is not one of the labels", "label", did_you_mean(box.label, labels)
            )
        if box.width <= 0 or box.height <= 0:
            raise InputError("a box has no area", "label", "Draw it again.")
    text = json.dumps(
        [[box.label, *(round(value, 1) for value in box[1:5])] for box in boxes], ensure_ascii=False
    )
    if len(text) > most_chars:
        raise InputError(
            f"{len(boxes)} boxes are too many for one image", "label", "Cut the image into tiles."
        )
    return text
