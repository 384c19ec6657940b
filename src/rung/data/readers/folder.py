"""Read a folder with one sub-folder per class: texts, or media of one kind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePath

from rung.core.blobs import blob_of_file, content_hash
from rung.core.errors import DataError, RungError
from rung.core.kind import MediaKind, media_kinds
from rung.core.types import Row
from rung.data.prepare.hashing import hash64
from rung.data.sources.encoding import decode
from rung.data.sources.rows import MAX_CELL, TOO_LARGE, Table

# Column of whom a file is of, where its format says so: rows of one patient belong together (`data.group`).
SUBJECT = "subject"
_WITH_SUBJECTS = {".dcm"}
_LOOKED_AT = 50
# Part of a data set -> the names of its folder, in lower case.
_PARTS = {
    "train": {"train", "training", "训练", "训练集"},
    "validation": {"val", "valid", "validation", "dev", "验证", "验证集"},
    "test": {"test", "testing", "测试", "测试集"},
}


class FolderTable(Table):
    """A file is a row: its text, its class, its name. Of media the first column is called like their kind and holds the
    name of the file; what is no such file is said.

    prefix: stands before the names of files where a source has several folders, so that no two files are called alike.
    """

    encoding = "utf-8"
    prefix = ""

    def __init__(self, path: Path, name: str, media: MediaKind | None = None) -> None:
        self.path = path
        self.name = name
        self.folder = path
        self._media = media
        self.columns = (media.name if media else "text", "label", "file")
        self._has_subjects = media is not None and any(
            PurePath(name).suffix.lower() in _WITH_SUBJECTS
            for name, _ in islice(_documents(path), _LOOKED_AT)
        )
        if self._has_subjects:
            self.columns = (*self.columns, SUBJECT)
        if media:
            self.encoding = ""

    def rows(self) -> Iterator[Row]:
        for number, (name, path) in enumerate(_documents(self.path), 1):
            row = self._text(name, path, number) if self._media is None else self._reference(name, number)
            yield row

    def known_rows(self) -> int:
        return sum(1 for _ in _documents(self.path))

    def _reference(self, name: str, number: int) -> Row:
        media = self._media
        if media is None or PurePath(name).suffix.lower() not in media.suffixes:
            known = ", ".join(sorted(media.suffixes)) if media else ""
            problem = f"other_file: its ending is none of {known}"
            return Row(self.prefix + name, number, None, problem, hash64(name))
        shown = self.prefix + name
        values = {media.name: name, "label": name.split("/")[0], "file": shown}
        return Row(
            shown, number, values | ({SUBJECT: self._subject(media, name)} if self._has_subjects else {})
        )

    def _subject(self, media: MediaKind, name: str) -> str | None:
        """Return whom a file is of, as its kind says; None where it does not, or cannot be read."""
        try:
            return media.subject(blob_of_file(self.path / name, name, media.max_bytes)) or None
        except (RungError, ValueError, OSError):
            return None

    def _text(self, name: str, path: Path, number: int) -> Row:
        try:
            with path.open("rb") as file:
                data = file.read(4 * MAX_CELL + 4)
        except OSError as error:
            problem = f"unreadable: {(error.strerror or str(error)).lower()}"
            return Row(self.prefix + name, number, None, problem, hash64(name))
        text = decode(data) if len(data) <= 4 * MAX_CELL else None
        if len(data) > 4 * MAX_CELL or (text is not None and len(text) > MAX_CELL):
            problem = f"{TOO_LARGE} file"
        else:
            problem = "undecodable: not text in UTF-8, UTF-16 or GB18030" if text is None else ""
        if problem:
            return Row(self.prefix + name, number, None, problem, hash64(data.decode("latin-1")))
        shown = self.prefix + name
        return Row(shown, number, {"text": text, "label": name.split("/")[0], "file": shown})

    def hashes(self) -> Iterator[tuple[str, str]]:
        for name, path in _documents(self.path):
            yield self.prefix + name, content_hash(path)


class FlatFolderTable(FolderTable):
    """Media that lie in the folder itself: rows without labels, to be labelled."""

    def __init__(self, path: Path, name: str, media: MediaKind) -> None:
        super().__init__(path, name, media)
        self.columns = (media.name, "file")

    def rows(self) -> Iterator[Row]:
        for number, path in enumerate(_flat_files(self.path), 1):
            row = self._reference(_printable(path.name), number)
            if row.values is not None:
                del row.values["label"]
            yield row

    def known_rows(self) -> int:
        return len(_flat_files(self.path))

    def hashes(self) -> Iterator[tuple[str, str]]:
        for path in _flat_files(self.path):
            yield self.prefix + _printable(path.name), content_hash(path)


def open_folder(path: Path, name: str) -> Table:
    """Return the table of a folder; raises DataError when it has no files in sub-folders.

    Where most files have the ending of one kind of media, it is a folder of these. A folder of the parts of a data set is
    refused: its parts would be taken for classes, and test rows would train.
    """
    if parts := parts_of(path):
        raise DataError(
            f"it holds the parts of a data set ({', '.join(parts)}), not one folder per class",
            name,
            f"Name them: {parts.spec(name)}. `rung plan {name}` writes this.",
        )
    endings = Counter(PurePath(document).suffix.lower() for document, _ in _documents(path))
    if not endings:
        if media := _flat_media(path):
            return FlatFolderTable(path, name, media)
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


class Parts(dict[str, str]):
    """The parts of a data set that a folder holds: the name of each sub-folder -> train, validation or test."""

    def named(self, part: str) -> list[str]:
        """Return the sub-folders of a part."""
        return [name for name, is_part in self.items() if is_part == part]

    def spec(self, name: str) -> str:
        """Return how a spec reads them. name: of the folder."""
        trains = [f"{name}/{folder}" for folder in (*self.named("train"), *self.named("validation"))]
        tests = [f"{name}/{folder}" for folder in self.named("test")]
        path = trains[0] if len(trains) == 1 else f"[{', '.join(trains)}]"
        return f"`data: {{path: {path}}}`" + (f" and `certify: {{path: {tests[0]}}}`" if tests else "")


def parts_of(path: Path) -> Parts:
    """Return the parts of a data set, such as train and test, that the sub-folders of a folder are; empty when they are classes.

    All sub-folders must be parts, with one that trains, another one, and sub-folders of their own in each.
    """
    found = Parts()
    for below in sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")):
        part = next((part for part, names in _PARTS.items() if below.name.casefold() in names), None)
        if part is None or not any(p.is_dir() for p in below.iterdir()):
            return Parts()
        found[below.name] = part
    whole = len(found) > 1 and len(found.named("train")) == 1 and len(found.named("test")) <= 1
    return found if whole else Parts()


def _flat_media(path: Path) -> MediaKind | None:
    """Return the kind of media that most files of a folder are, None where they are none."""
    known = media_kinds()
    kinds = Counter(
        known[suffix].name if (suffix := p.suffix.lower()) in known else "" for p in _flat_files(path)
    )
    most = kinds.most_common(1)[0][0] if kinds else ""
    return next((media for media in known.values() if media.name == most), None)


def _flat_files(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))


def _documents(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of the files below each class's folder in a fixed order; hidden ones and links to
    folders inside a class are passed over, so a loop of links ends."""
    for label in sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for folder, below, files in os.walk(path / label):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(files):
                document = Path(folder, name)
                if not name.startswith(".") and document.is_file():
                    yield _printable(document.relative_to(path).as_posix()), document


def _printable(name: str) -> str:
    """Return a name of a file that may not be UTF-8 so that it can be printed."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
