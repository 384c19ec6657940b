"""A folder of texts with one sub-folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rung.core.errors import DataError
from rung.core.files import sha256
from rung.data.prepare.hashing import hash64
from rung.data.sources.encoding import decode
from rung.data.sources.rows import MAX_CELL, TOO_LARGE, Row, Table


class FolderTable(Table):
    """A file is a row: its text, its class, its name."""

    columns = ("text", "label", "file")
    encoding = "utf-8"

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def rows(self) -> Iterator[Row]:
        for number, (name, path) in enumerate(_documents(self.path), 1):
            try:
                with path.open("rb") as file:
                    data = file.read(4 * MAX_CELL + 4)
            except OSError as error:
                problem = f"unreadable: {(error.strerror or str(error)).lower()}"
                yield Row(name, number, None, problem, hash64(name))
                continue
            text = decode(data) if len(data) <= 4 * MAX_CELL else None
            if len(data) > 4 * MAX_CELL or (text is not None and len(text) > MAX_CELL):
                problem = f"{TOO_LARGE} file"
            else:
                problem = "undecodable: not text in UTF-8, UTF-16 or GB18030" if text is None else ""
            if problem:
                yield Row(name, number, None, problem, hash64(data.decode("latin-1")))
            else:
                yield Row(name, number, {"text": text, "label": name.split("/")[0], "file": name})

    def hashes(self) -> Iterator[tuple[str, str]]:
        for name, path in _documents(self.path):
            yield name, sha256(path)


def open_folder(path: Path, name: str) -> Table:
    """Return the table of a folder; raises DataError when it has no files in sub-folders."""
    if next(_documents(path), None) is None:
        raise DataError(
            "no files in sub-folders",
            str(path),
            "A folder of texts needs one sub-folder per class: <class>/<file>.txt",
        )
    return FolderTable(path, name)


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
