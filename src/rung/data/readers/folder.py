"""Read a folder with one sub-folder per class: texts, or media of one kind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath

from rung.core.blobs import content_hash
from rung.core.errors import DataError
from rung.core.kind import MediaKind, media_kinds
from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.sources.encoding import decode
from rung.data.sources.rows import MAX_CELL, TOO_LARGE, Table


class FolderTable(Table):
    """A file is a row: its text, its class, its name. Of media the first column is called like their kind and holds the
    name of the file; what is no such file is said."""

    encoding = "utf-8"

    def __init__(self, path: Path, name: str, media: MediaKind | None = None) -> None:
        self.path = path
        self.name = name
        self.folder = path
        self._media = media
        self.columns = (media.name if media else "text", "label", "file")
        if media:
            self.encoding = ""

    def rows(self) -> Iterator[Row]:
        for number, (name, path) in enumerate(_documents(self.path), 1):
            row = self._text(name, path, number) if self._media is None else self._reference(name, number)
            yield row

    def _reference(self, name: str, number: int) -> Row:
        media = self._media
        if media is None or PurePath(name).suffix.lower() not in media.suffixes:
            known = ", ".join(sorted(media.suffixes)) if media else ""
            return Row(name, number, None, f"other_file: its ending is none of {known}", hash64(name))
        return Row(name, number, {media.name: name, "label": name.split("/")[0], "file": name})

    def _text(self, name: str, path: Path, number: int) -> Row:
        try:
            with path.open("rb") as file:
                data = file.read(4 * MAX_CELL + 4)
        except OSError as error:
            return Row(
                name, number, None, f"unreadable: {(error.strerror or str(error)).lower()}", hash64(name)
            )
        text = decode(data) if len(data) <= 4 * MAX_CELL else None
        if len(data) > 4 * MAX_CELL or (text is not None and len(text) > MAX_CELL):
            problem = f"{TOO_LARGE} file"
        else:
            problem = "undecodable: not text in UTF-8, UTF-16 or GB18030" if text is None else ""
        if problem:
            return Row(name, number, None, problem, hash64(data.decode("latin-1")))
        return Row(name, number, {"text": text, "label": name.split("/")[0], "file": name})

    def hashes(self) -> Iterator[tuple[str, str]]:
        for name, path in _documents(self.path):
            yield name, content_hash(path)


def open_folder(path: Path, name: str) -> Table:
    """Return the table of a folder; raises DataError when it has no files in sub-folders.

    Where most files have the ending of one kind of media, it is a folder of these.
    """
    endings = Counter(PurePath(document).suffix.lower() for document, _ in _documents(path))
    if not endings:
        raise DataError(
            "no files in sub-folders",
            str(path),
            "A folder needs one sub-folder per class: <class>/<file>.txt, or <class>/<file>.png and the like.",
        )
    known = media_kinds()
    kinds = Counter[str]()
    for ending, count in endings.items():
        if ending in known:
            kinds[known[ending].name] += count
    most, count = kinds.most_common(1)[0] if kinds else ("", 0)
    media = next((kind for kind in known.values() if kind.name == most), None)
    return FolderTable(path, name, media if count * 2 > endings.total() else None)


def _documents(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of the files below each class's folder in a fixed order; hidden ones and links to
    folders inside a class are passed over, so a loop of links ends."""
    for label in sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for folder, below, files in os.walk(path / label):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(files):
                document = Path(folder, name)
                if not name.startswith(".") and document.is_file():
                    # A name that is not UTF-8 must still be printable.
                    relative = os.fsencode(document.relative_to(path).as_posix())
                    yield relative.decode("utf-8", "backslashreplace"), document
