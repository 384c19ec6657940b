"""Read boxes in the format of YOLO: a text file for each image, a line for each box, as shares of the image's size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rung.core.types import Row
from rung.data.readers.boxed_images import MOST_BYTES, BoxedImages, image_size

_NAMES = ("classes.txt", "obj.names", "_darknet.labels", "class_names.txt")
_LINE = re.compile(rb"\d{1,5}(?:[ \t]+[-+]?[\d.]+(?:e-?\d+)?){4,}\s*?(?:\n|\r|$)")
_CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def label_file(image: Path) -> Path:
    """Return where the boxes of an image stand: under labels/ where it lies under images/, else beside it."""
    parts = list(image.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
        moved = Path(*parts).with_suffix(".txt")
        if moved.is_file() or moved.parent.is_dir():
            return moved
    return image.with_suffix(".txt")


def label_names(folder: Path) -> dict[int, str]:
    """Return the names of classes by number, from data.yaml or classes.txt in a folder or above it; {} without any."""
    for place in (folder, folder.parent):
        for name in _CONFIGS:
            if (place / name).is_file() and (found := _from_config(place / name)):
                return found
        for name in _NAMES:
            if (place / name).is_file():
                lines = (place / name).read_text(encoding="utf-8-sig", errors="replace").splitlines()
                return {number: line.strip() for number, line in enumerate(filter(str.strip, lines))}
    return {}


def looks_like_yolo(path: Path) -> bool:
    """Return whether the first line of a file is a box: a class and at least four numbers. Captions of images are not."""
    with path.open("rb") as file:
        return _LINE.match(file.read(4096).lstrip()) is not None


def _from_config(path: Path) -> dict[int, str]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (OSError, yaml.YAMLError):
        return {}
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        return dict(enumerate(map(str, names)))
    if isinstance(names, dict) and all(str(key).isdigit() for key in names):
        return {int(key): str(name) for key, name in names.items()}
    return {}


class YoloTable(BoxedImages):
    """The images of a folder with the boxes of their text files; an image without one has no boxes, and is counted."""

    def __init__(self, name: str, folder: Path, images: Sequence[Path], names: Mapping[int, str]) -> None:
        super().__init__(name, folder, [file for file in map(label_file, images) if file.is_file()])
        self._images, self._names = images, names

    def read(self) -> Iterator[Row]:
        if not self._names:
            self.counted["classes_without_names"] = 1
        for number, image in enumerate(self._images, 1):
            file = label_file(image)
            if not file.is_file():
                self.counted["images_without_file"] += 1
                yield self.row(number, image, [])
                continue
            try:
                boxes = self._boxes(file, image)
            except ValueError as error:
                yield self.unusable(number, self.relative(file), str(error))
                continue
            yield self.row(number, image, boxes)

    def _boxes(self, file: Path, image: Path) -> list[list[object]]:
        """Return the boxes of a file in pixels. Raises ValueError, in words, with the line."""
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"the file has more than {MOST_BYTES:,} bytes")
        size = image_size(image)
        if size is None:
            return []  # The image cannot be read: that is said where it is opened.
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise ValueError("the file is no text in UTF-8") from None
        return [self._box(line.split(), place, size) for place, line in enumerate(lines, 1) if line.strip()]

    def _box(self, cells: Sequence[str], line: int, size: tuple[int, int]) -> list[object]:
        try:
            number, shares = int(cells[0]), [float(cell) for cell in cells[1:]]
        except ValueError:
            raise ValueError(f"line {line} is no class with numbers: '{' '.join(cells)[:60]}'") from None
        polygon = len(shares) >= 6 and len(shares) % 2 == 0
        if not (len(shares) == 4 or polygon):
            raise ValueError(f"line {line} has {len(shares)} numbers after the class; a box has 4")
        if not all(-0.1 <= share <= 1.1 for share in shares):
            raise ValueError(f"line {line} has numbers beyond 0 to 1: boxes are shares of the image's size")
        if self._names and number not in self._names:
            raise ValueError(f"line {line}: class {number} is none of the {len(self._names)} that have names")
        if polygon:
            self.counted["polygons"] += 1
            left, right, top, bottom = (
                min(shares[::2]),
                max(shares[::2]),
                min(shares[1::2]),
                max(shares[1::2]),
            )
        else:
            across, down, width, height = shares
            left, right, top, bottom = (
                across - width / 2,
                across + width / 2,
                down - height / 2,
                down + height / 2,
            )
        box = [left * size[0], top * size[1], (right - left) * size[0], (bottom - top) * size[1]]
        return [self._names.get(number, str(number)), *box]
