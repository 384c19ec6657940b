"""Media that a user's own files hold: folders and single files as rows, and tables that name files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from rung.core.blobs import MemoryStore, blob_of_file, content_hash
from rung.core.errors import DataError
from rung.core.kind import MediaKind
from rung.core.source_place import SourcePlace
from rung.core.types import Row
from rung.data.sources.rows import Table


class MediaFiles(Table):
    """Files of one kind of media, a row each. paths: files, and folders with all that lies below them.

    A row's only value is the file's blob; `Row.file` is its name from the folder. A link that leads out of its folder
    is refused. Raises DataError for a path that does not exist, and where there is no file.
    """

    def __init__(self, paths: Sequence[Path], field: str, known: MediaKind) -> None:
        self.name = paths[0].name if len(paths) == 1 else f"{len(paths)} paths"
        self.columns = (field,)
        self._known = known
        for path in paths:
            if not path.exists():
                raise DataError("there is no such file or folder", str(path), "Check the path.")
        self._files = [found for path in paths for found in _files(path)]
        if not self._files:
            raise DataError("there are no files in it", str(paths[0]), "Give a folder with files, or files.")

    def rows(self) -> Iterator[Row]:
        for number, (name, path, folder) in enumerate(self._files, 1):
            try:
                yield Row(name, number, {self.columns[0]: self._blob(name, path, folder)})
            except ValueError as error:
                yield Row(name, number, None, str(error))

    def hashes(self) -> Iterator[tuple[str, str]]:
        for name, path, _ in self._files:
            try:
                yield name, content_hash(path)
            except OSError:
                yield name, hashlib.sha256(b"").hexdigest()

    def _blob(self, name: str, path: Path, folder: Path | None) -> Any:
        endings = self._known.suffixes
        if endings and path.suffix.lower() not in endings:
            raise ValueError(f"other_file: its ending is none of {', '.join(sorted(endings))}")
        if folder is not None and not path.resolve().is_relative_to(folder):
            raise ValueError("outside_folder: it is a link that leads out of its folder")
        if not path.is_file():
            raise ValueError("other_file: it is no file")
        return blob_of_file(path, name, self._known.max_bytes)


def is_media_path(path: Path, known: MediaKind) -> bool:
    """Return whether a path is a folder, or a file of a kind of media and not a table that names some."""
    return path.is_dir() or not known.suffixes or PurePath(path).suffix.lower() in known.suffixes


class NamedMedia:
    """Reads the media that cells of a table name, or hold. folders: below which files may lie; none for a table that
    was downloaded.
    """

    def __init__(self, kinds: Mapping[str, MediaKind], folders: Sequence[Path]) -> None:
        self._kinds = dict(kinds)
        self._place = SourcePlace(MemoryStore(), *folders)

    def read(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row's values with media in the place of names; raises ValueError for one that cannot be used."""
        if not self._kinds:
            return values
        found = dict(values)
        for name, known in self._kinds.items():
            try:
                found[name] = known.parse(values.get(name), self._place)
            except ValueError as error:
                raise ValueError(f"'{name}' {str(error).partition(': ')[2] or error}") from None
        return found


def _files(path: Path) -> Iterator[tuple[str, Path, Path | None]]:
    """Yield (name, path, resolved folder) of a file, or of each file below a folder, in a fixed order."""
    if not path.is_dir():
        yield path.name, path, None
        return
    whole = path.resolve()
    for folder, below, files in os.walk(path):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                found = Path(folder, name)
                # A name that is not UTF-8 must still be printable.
                shown = os.fsencode(found.relative_to(path).as_posix()).decode("utf-8", "backslashreplace")
                yield shown, found, whole
