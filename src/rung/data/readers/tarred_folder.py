"""Read a tar archive of files in folders: unpacked once into the cache, in one pass and within bounds, and read as a folder."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath

from rung.core.errors import DataError
from rung.core.files import locked, sha256, whole_folder
from rung.data.readers.any_folder import open_any_folder
from rung.data.readers.zipped_folder import MOST_FILES, is_plain
from rung.data.sources.files import MOST_TIMES, MOST_UNPACKED, File
from rung.data.sources.rows import Table
from rung.runtime.weights.store import cache_folder

# Short endings -> what they stand for.
_SHORT = {".tgz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz", ".tzst": ".tar.zst"}
_PIECE = 1 << 20
_FIX = "Unpack it, and name the folder."


def is_tar(file: File) -> bool:
    """Return whether a file is called like a tar archive, packed or not."""
    return PurePath(_long_name(file)).suffix == ".tar" or PurePath(_long_name(file)).stem.endswith(".tar")


def open_tarred(file: File) -> Table:
    """Return the table of an archive; raises DataError for one that is damaged, or a bomb."""
    target = cache_folder() / "unpacked" / sha256(file.path)
    counts = target.with_name(target.name + ".json")
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Of two builds at once the second waits, and finds the folder whole.
        with locked(target.with_name(target.name + ".lock")):
            if not target.is_dir():
                with whole_folder(target) as folder:
                    counts.write_text(json.dumps(_unpack(file, folder)), encoding="utf-8")
    try:
        table = open_any_folder(_without_wrapping(target), file.name)
    except DataError as error:
        raise DataError(error.problem, file.name, error.fix) from None
    table.notes = {**table.notes, **json.loads(counts.read_text(encoding="utf-8"))}
    return table


def _unpack(file: File, folder: Path) -> dict[str, int]:
    """Write the plain files of an archive below a folder; return how many, and how many members were passed over.

    Links, devices, hidden files, names that lead out of the archive, and a name that stands twice are passed over.
    """
    done = passed = size = 0
    most = max(MOST_UNPACKED, MOST_TIMES * file.path.stat().st_size)
    for archive, member in _members(file):
        path = PurePosixPath(member.name)
        size += member.size
        if size > most or done > MOST_FILES:
            raise DataError(
                f"it unpacks to more than {done:,} files of {size:,} bytes together",
                file.name,
                "That is how decompression bombs look. If you trust it, unpack it and name the folder.",
            )
        packed = archive.extractfile(member) if member.isreg() and is_plain(path) else None
        if packed is None:
            passed += not member.isdir()
            continue
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / path).open("xb") as out:
                while piece := packed.read(_PIECE):
                    out.write(piece)
        except (FileExistsError, NotADirectoryError):
            passed += 1
            continue
        done += 1
    return {"unpacked": done, "passed_over": passed}


def _members(file: File) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the members of an archive, each to be read before the next: an archive is read once, from front to back."""
    try:
        with (
            File(file.path, _long_name(file)).open() as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            for member in archive:
                yield archive, member
    except tarfile.TarError as error:
        raise DataError(f"it cannot be unpacked: {str(error).casefold()}", file.name, _FIX) from None


def _without_wrapping(folder: Path) -> Path:
    """Return the one folder that holds all classes, where there is one, else the folder."""
    below = list(folder.iterdir())
    if len(below) == 1 and below[0].is_dir() and any(path.is_dir() for path in below[0].iterdir()):
        return below[0]
    return folder


def _long_name(file: File) -> str:
    name = PurePath(file.name.lower())
    return str(name.with_suffix(_SHORT[name.suffix])) if name.suffix in _SHORT else str(name)
