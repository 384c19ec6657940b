"""Read boxes in the format of Pascal VOC: an XML file for each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree

from rung.core.kind import kind
from rung.core.types import Row
from rung.data.readers.boxed_images import MOST_BYTES, BoxedImages, image_size, is_image, other_size

_SIDES = ("xmin", "ymin", "xmax", "ymax")
# Where the image of a file lies, from the folder of the file.
_PLACES = (".", "../JPEGImages", "../images", "..")


def looks_like_voc(path: Path) -> bool:
    """Return whether a file begins like an annotation of Pascal VOC."""
    with path.open("rb") as file:
        return b"<annotation" in file.read(4096)


class VocTable(BoxedImages):
    """The images of annotation files, and images that have none: nothing is known of the boxes of these."""

    def __init__(self, name: str, folder: Path, files: Sequence[Path], images: Sequence[Path]) -> None:
        super().__init__(name, folder, files)
        self._images = images

    def read(self) -> Iterator[Row]:
        used = set()
        for number, file in enumerate(self.files, 1):
            row, image = self._annotation(number, file)
            used.add(image)
            yield row
        for number, image in enumerate(self._images, len(self.files) + 1):
            if image.resolve() not in used:
                yield self.row(number, image, None)

    def _annotation(self, number: int, file: Path) -> tuple[Row, Path | None]:
        """Return the row of an annotation file, and the image that it is about."""
        shown = self.relative(file)
        try:
            root = _parsed(file)
        except ValueError as error:
            return self.unusable(number, shown, str(error)), _by_stem(file)
        named = PureWindowsPath(root.findtext("filename") or "").name
        image = next(
            (path for place in _PLACES if named and (path := file.parent / place / named).is_file()),
            _by_stem(file),
        )
        if image is None:
            return self.row(number, named or f"{file.stem} (no image)", []), None
        size = [root.findtext(f"size/{side}") for side in ("width", "height")]
        wrong = other_size(size, image_size(image))
        boxes = []
        for place, item in enumerate(root.iter("object"), 1):
            sides = [item.findtext(f"bndbox/{side}") for side in _SIDES]
            label = (item.findtext("name") or "").strip()
            if None in sides or not label:
                wrong = wrong or f"object {place} has no name or no bndbox with xmin, ymin, xmax and ymax"
                continue
            boxes.append({"label": label, **dict(zip(_SIDES, sides, strict=True))})
        row = self.unusable(number, shown, wrong) if wrong else self.row(number, image, boxes, shown)
        return row, image.resolve()


def _parsed(file: Path) -> ElementTree.Element:
    """Return the root of a file. Raises ValueError, in words: entities, which can blow up a file, are not read."""
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"the file has more than {MOST_BYTES:,} bytes")
    data = file.read_bytes()
    if b"<!" in data.replace(b"<!--", b""):
        raise ValueError("the file declares a document type or entities, which are not read")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ValueError(f"the file is no XML: {error}") from None
    if root.tag != "annotation":
        raise ValueError(f"the file holds <{root.tag[:40]}>, not <annotation>")
    return root


def _by_stem(file: Path) -> Path | None:
    """Return the image that is called like the annotation file, whatever its ending."""
    for place in _PLACES:
        for suffix in sorted(kind("image").suffixes):  # type: ignore[attr-defined]
            for path in (file.parent / place / f"{file.stem}{ending}" for ending in (suffix, suffix.upper())):
                if path.is_file() and is_image(path):
                    return path.resolve()
    return None
