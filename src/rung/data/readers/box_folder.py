"""Open a folder of images whose boxes stand in files beside them: COCO, Pascal VOC or YOLO."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rung.core.errors import DataError
from rung.core.types import Row
from rung.data.readers.boxed_images import BoxedImages, files_below, is_image
from rung.data.readers.coco import CocoTable, looks_like_coco, open_coco
from rung.data.readers.pascal_voc import VocTable, looks_like_voc
from rung.data.readers.yolo import YoloTable, label_file, label_names, looks_like_yolo
from rung.data.sources.rows import Table

# Files whose beginning is read to tell what a folder holds.
_MOST_LOOKED_AT = 50


def open_box_folder(path: Path, name: str) -> Table | None:
    """Return the table of a folder of images with boxes; None where it is of another kind.

    Raises DataError for one that has boxes in two formats: which are right, only its owner knows.
    """
    files = files_below(path)
    images = [file for file in files if is_image(file)]
    if not images and not any(file.suffix.lower() == ".json" for file in files):
        return None
    found = list(
        filter(None, (_coco(path, name, files), _voc(path, name, files, images), _yolo(path, name, images)))
    )
    if len(found) > 1:
        kinds = " and ".join(type(table).__name__.removesuffix("Table").upper() for table in found)
        raise DataError(
            f"it holds boxes in {kinds}", name, "Leave one of them, or name its file in `data.path`."
        )
    return found[0] if found else None


def _coco(path: Path, name: str, files: list[Path]) -> Table | None:
    listed = [file for file in files if file.suffix.lower() == ".json"]
    begun = [file for file in listed[:_MOST_LOOKED_AT] if looks_like_coco(file)]
    tables = [
        table for file in begun if (table := open_coco(file, file.relative_to(path).as_posix())) is not None
    ]
    return (tables[0] if len(tables) == 1 else _Several(name, path, tables)) if tables else None


def _voc(path: Path, name: str, files: list[Path], images: list[Path]) -> Table | None:
    listed = [file for file in files if file.suffix.lower() == ".xml"]
    if not any(map(looks_like_voc, listed[:_MOST_LOOKED_AT])):
        return None
    return VocTable(name, path, listed, images)


def _yolo(path: Path, name: str, images: list[Path]) -> Table | None:
    files = [file for file in map(label_file, images) if file.is_file()]
    if not any(map(looks_like_yolo, files[:_MOST_LOOKED_AT])):
        return None
    return YoloTable(name, path, images, label_names(path))


class _Several(BoxedImages):
    """Several files of COCO in one folder, one after the other."""

    def __init__(self, name: str, path: Path, tables: list[CocoTable]) -> None:
        super().__init__(name, path, [file for table in tables for file in table.files])
        self._tables = tables

    def read(self) -> Iterator[Row]:
        for table in self._tables:
            for row in table.rows():
                if row.values is None:
                    yield row
                else:
                    image = Path(table.folder or Path(), row.values["image"])
                    yield self.row(row.number, image, row.values["boxes"])
            self.counted.update(table.counted)
