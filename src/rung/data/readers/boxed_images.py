"""What readers of images with boxes share: finding an image, its size, and rows of both."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from rung.core.blobs import content_hash
from rung.core.errors import InputError
from rung.core.kind import kind
from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.sources.rows import Table
from rung.modalities.images.decode import read_header

COLUMNS = ("image", "boxes", "folder")
# Of an image file so much is read for its size; the rest only where that is not enough.
_HEAD = 1 << 18
MOST_BYTES = 8 << 20


class BoxedImages(Table):
    """A row an image: its file, its boxes, and the folder in which it lies, by which tiles of one photo can be grouped.

    files: those that hold the boxes.
    """

    columns = COLUMNS

    def __init__(self, name: str, folder: Path, files: Sequence[Path]) -> None:
        self.name, self.folder, self.files = name, folder, list(files)
        self.counted: Counter[str] = Counter()

    def rows(self) -> Iterator[Row]:
        self.counted = Counter()
        yield from self.read()
        self.notes = {**self.notes, **self.counted}

    @abstractmethod
    def read(self) -> Iterator[Row]:
        """Yield the rows; what is out of the ordinary goes into `counted`."""

    def hashes(self) -> Iterator[tuple[str, str]]:
        for file in self.files:
            yield file.relative_to(self.folder or file.parent).as_posix(), content_hash(file)

    def row(self, number: int, image: Path | str, boxes: Any, where: str = "") -> Row:
        """Return the row of an image. image: a file, or what the boxes call one that is not there."""
        name = image if isinstance(image, str) else self.relative(image)
        values = {"image": name, "boxes": boxes, "folder": PurePosixPath(name).parent.as_posix()}
        return Row(where or name, number, values)

    def unusable(self, number: int, where: str, reason: str) -> Row:
        """Return a row that says why its boxes cannot be read."""
        return Row(where, number, None, f"bad_boxes: {reason}", hash64(f"{where}\n{reason}"))

    def relative(self, path: Path) -> str:
        """Return a path as cells name files: from the table's folder. A name that is not UTF-8 must be printable."""
        raw = os.fsencode(os.path.relpath(path, self.folder))
        return PurePath(raw.decode("utf-8", "backslashreplace")).as_posix()


def is_image(path: PurePath) -> bool:
    """Return whether a file ends like an image."""
    return path.suffix.lower() in kind("image").suffixes  # type: ignore[attr-defined]


def image_size(path: Path) -> tuple[int, int] | None:
    """Return width and height of an upright image; None where the file cannot be read as one, which is said later."""
    try:
        with path.open("rb") as file:
            data = file.read(_HEAD)
            try:
                header = read_header(data, path.name)
            except InputError:
                header = read_header(data + file.read(), path.name)
    except (OSError, InputError):
        return None
    return header.width, header.height


def other_size(given: Sequence[Any], found: tuple[int, int] | None) -> str:
    """Return what is wrong where boxes were drawn on an image of another size; "" where nothing is, or it is not known."""
    try:
        width, height = (int(float(value)) for value in given)
    except (TypeError, ValueError, OverflowError):
        return ""
    if found is None or width <= 0 or height <= 0 or max(abs(width - found[0]), abs(height - found[1])) <= 1:
        return ""
    turned = " It was turned since: its EXIF orientation did not count." if (height, width) == found else ""
    return f"they were drawn on an image of {width} x {height} pixels, and upright this one has {found[0]} x {found[1]}.{turned}"


def files_below(folder: Path) -> list[Path]:
    """Return all files of a folder in a fixed order; hidden ones and what lies behind links to folders are passed over."""
    found = []
    for place, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [Path(place, name) for name in sorted(files) if not name.startswith(".")]
    return found
