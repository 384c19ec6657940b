"""Open a folder of images whose texts stand in files beside them: `0001.png` and `0001.txt`, or fields in `0001.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.readers.boxed_images import BoxedImages, files_below, is_image
from rung.data.sources.encoding import decode
from rung.data.sources.rows import MAX_CELL, Table

# Endings of the file of an image's text: the second is what tesseract's tools write.
_TEXTS, _FIELDS = (".txt", ".gt.txt"), (".json",)
# The share of images that must have such a file for a folder to be one of read documents.
_MOSTLY = 0.5


def open_transcribed(path: Path, name: str) -> Table | None:
    """Return the table of a folder of images with their texts or fields; None where it is of another kind.

    Images in several sub-folders are those of classes, whatever stands beside them.
    """
    files = files_below(path)
    images = [file for file in files if is_image(file)]
    if not images or len({file.parent for file in images}) > 1:
        return None
    there = frozenset(files)
    for endings, column in ((_TEXTS, "text"), (_FIELDS, "fields")):
        beside = {image: file for image in images if (file := _beside(image, endings, there)) is not None}
        if len(beside) >= _MOSTLY * len(images):
            return TranscribedTable(name, path, images, beside, column)
    return None


def _beside(image: Path, endings: Sequence[str], there: frozenset[Path]) -> Path | None:
    named = (image.with_name(image.stem + ending) for ending in endings)
    return next((file for file in named if file in there), None)


class TranscribedTable(BoxedImages):
    """A row an image: its file, its text or fields, and the folder in which it lies. An image without a text has none."""

    def __init__(
        self, name: str, folder: Path, images: Sequence[Path], beside: dict[Path, Path], column: str
    ) -> None:
        super().__init__(name, folder, list(beside.values()))
        self.columns = ("image", column, "folder")
        self._images, self._beside, self._column = images, beside, column

    def read(self) -> Iterator[Row]:
        for number, image in enumerate(self._images, 1):
            file = self._beside.get(image)
            if file is None:
                self.counted["images_without_text"] += 1
            name = self.relative(image)
            try:
                said = None if file is None else self._said(file)
            except ValueError as error:
                yield Row(name, number, None, str(error), hash64(f"{name}\n{error}"))
                continue
            folder = PurePosixPath(name).parent.as_posix()
            yield Row(name, number, {"image": name, self._column: said, "folder": folder})

    def _said(self, file: Path) -> Any:
        """Return the text or the fields of a file; raises ValueError, "reason: detail"."""
        try:
            with file.open("rb") as opened:
                data = opened.read(MAX_CELL + 1)
        except OSError as error:
            raise ValueError(f"unreadable: {(error.strerror or str(error)).lower()}") from None
        text = decode(data) if len(data) <= MAX_CELL else None
        if text is None:
            raise ValueError(f"undecodable: {file.name} is not text in UTF-8, UTF-16 or GB18030, or too long")
        if self._column == "text":
            return text.strip("\ufeff\r\n")
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError(f"bad_fields: {file.name} is no JSON") from None
