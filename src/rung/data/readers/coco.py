"""Read boxes in the format of COCO: one JSON file with images, annotations and categories."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rung.core.errors import DataError
from rung.core.types import Row
from rung.data.readers.boxed_images import BoxedImages, image_size, other_size

_START = re.compile(rb'\s*\{\s*"(?:info|licenses|images|annotations|categories)"\s*:\s*[\[{"]')
_MOST_BYTES = 1 << 30
_KEYS = ("images", "annotations", "categories")
# Where images lie, from the folder of the file; the last is called like the file: train2017 beside annotations.
_PLACES = (".", "images", "data", "../images", "..", "../data")


def looks_like_coco(path: Path) -> bool:
    """Return whether a file begins like one of COCO; only its first bytes are read."""
    with path.open("rb") as file:
        return _START.match(file.read(4096)) is not None


def open_coco(path: Path, name: str) -> CocoTable | None:
    """Return the table of a file; None where it is JSON of another kind. Raises DataError for one that is broken or too large."""
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(f"it has more than {_MOST_BYTES:,} bytes", name, "Split it into several files.")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            return None  # One object a line.
        raise DataError(f"this is no JSON: {error}", name, "Export it again.") from None
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in _KEYS[:2]):
        return None
    return CocoTable(name, path, content)


class CocoTable(BoxedImages):
    """The images that a file lists, each with the boxes of its annotations; one without any has no boxes.

    Annotations of crowds are left out and counted: they outline many things at once.
    """

    def __init__(self, name: str, path: Path, content: Mapping[str, Any]) -> None:
        super().__init__(name, path.parent, [path])
        self._content = content
        self._labels = {
            item.get("id"): item.get("name")
            for item in content.get("categories", ())
            if isinstance(item, dict)
        }
        self._place = self._place_of_images()

    def read(self) -> Iterator[Row]:
        by_image: dict[Any, list[Any]] = defaultdict(list)
        for item in self._content["annotations"]:
            if isinstance(item, dict) and item.get("iscrowd") == 1:
                self.counted["crowds"] += 1
            elif isinstance(item, dict):
                by_image[str(item.get("image_id"))].append(item)
            else:
                self.counted["unknown_annotations"] += 1
        for number, image in enumerate(self._content["images"], 1):
            name = image.get("file_name") if isinstance(image, dict) else None
            if not isinstance(name, str) or not name:
                yield self.unusable(number, self.name, f"image {number} has no file_name")
                continue
            found = by_image.pop(str(image.get("id")), [])
            yield self._image(number, self._path(name), image, found)
        self.counted["annotations_without_image"] += sum(map(len, by_image.values()))

    def _image(self, number: int, path: Path, image: Mapping[str, Any], found: Sequence[Any]) -> Row:
        shown = self.relative(path)
        if wrong := other_size((image.get("width"), image.get("height")), image_size(path)):
            return self.unusable(number, shown, wrong)
        boxes = []
        for item in found:
            label, box = self._labels.get(item.get("category_id")), item.get("bbox")
            if label is None:
                return self.unusable(number, shown, f"category {item.get('category_id')!r} is not listed")
            if not (isinstance(box, list) and len(box) == 4):
                return self.unusable(
                    number, shown, f"an annotation's bbox is {str(box)[:60]!r}, not four numbers"
                )
            boxes.append([label, *box])
        return self.row(number, path, boxes)

    def _path(self, name: str) -> Path:
        return self.files[0].parent / str(self._place) / name.replace("\\", "/")

    def _place_of_images(self) -> str:
        """Return the place where most of the first images are found."""
        listed = [item.get("file_name") for item in self._content["images"][:20] if isinstance(item, dict)]
        names: list[str] = [name.replace("\\", "/") for name in listed if isinstance(name, str)]
        own = self.files[0].stem.removeprefix("instances_")
        folder = self.files[0].parent

        def found(place: str) -> int:
            return sum((folder / place / name).is_file() for name in names)

        return max((*_PLACES, own, f"../{own}"), key=found)
