"""Read a zip archive with one folder per class: unpacked once into the cache, within bounds, and read as a folder."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from rung.core.errors import DataError
from rung.core.files import locked, sha256, whole_folder
from rung.data.readers.any_folder import open_any_folder
from rung.data.sources.files import MOST_TIMES, MOST_UNPACKED, File, zipfile_of
from rung.data.sources.rows import Table
from rung.runtime.weights.store import cache_folder

MOST_FILES = 500_000
_PIECE = 1 << 20
_UTF8_NAMES = 0x800
# Files that hold tables: an archive of these is no folder of texts.
_TABLES = {
    ".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".xlsx", ".xlsm", ".xls", ".xlsb", ".ods",
}  # fmt: skip


def is_class_folder(file: File) -> bool:
    """Return whether an archive holds files in at least two folders, most of which are no tables."""
    with zipfile_of(file) as archive:
        names = [name for name, _ in _members(archive)]
    labels = {name.parts[0] for name in names if len(name.parts) > 1}
    tables = sum(name.suffix.lower() in _TABLES for name in names)
    return len(labels) > 1 and 2 * tables < len(names)


def open_zipped(file: File) -> Table:
    """Return the table of an archive; raises DataError for one that is damaged, locked, or a bomb."""
    with zipfile_of(file) as archive:
        members = dict(_members(archive))
        files = sum(not member.is_dir() for member in archive.infolist())
        unpacked = sum(member.file_size for member in members.values())
        if unpacked > max(MOST_UNPACKED, MOST_TIMES * file.path.stat().st_size) or len(members) > MOST_FILES:
            raise DataError(
                f"it unpacks to {len(members):,} files of {unpacked:,} bytes together",
                file.name,
                "That is how decompression bombs look. If you trust it, unpack it and name the folder.",
            )
        target = cache_folder() / "unpacked" / sha256(file.path)
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            # Of two builds at once the second waits, and finds the folder whole.
            with locked(target.with_name(target.name + ".lock")):
                _unpack_all(archive, members, target, file)
    table = open_any_folder(target, file.name)
    table.notes = {"unpacked": len(members), "passed_over": files - len(members)}
    return table


def _unpack_all(
    archive: zipfile.ZipFile, members: Mapping[PurePosixPath, zipfile.ZipInfo], target: Path, file: File
) -> None:
    if target.is_dir():
        return
    with whole_folder(target) as folder:
        for name, member in members.items():
            _unpack(archive, member, folder / name, file)


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[PurePosixPath, zipfile.ZipInfo]]:
    """Yield path and member of each file, without a folder that holds all classes.

    Links, hidden files, names that lead out of the archive, and a name that stands twice are passed over.
    """
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        path = PurePosixPath(_name(member))
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if is_plain(path) and not (member.is_dir() or is_link):
            found.setdefault(path, member)
    wrapped = len({path.parts[0] for path in found}) == 1 and all(len(path.parts) > 2 for path in found)
    for path, member in found.items():
        yield (PurePosixPath(*path.parts[1:]) if wrapped else path), member


def is_plain(path: PurePosixPath) -> bool:
    """Return whether a member's path is unpacked: it stays inside, and no part of it is hidden."""
    leads_out = path.is_absolute() or any(part == ".." or "\\" in part or ":" in part for part in path.parts)
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return bool(path.parts) and not (leads_out or is_hidden)


def _name(member: zipfile.ZipInfo) -> str:
    """Return the name of a member, in UTF-8 or GB18030 where its archive does not say."""
    if member.flag_bits & _UTF8_NAMES or member.filename.isascii():
        return member.filename
    raw = member.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, file: File) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Reads no more than the size that was checked, and compares the checksum.
        with archive.open(member) as packed, path.open("xb") as out:
            while piece := packed.read(_PIECE):
                out.write(piece)
    except (FileExistsError, NotADirectoryError):
        raise DataError(
            f"'{member.filename}' is a file and a folder in it", file.name, "Unpack it, and name the folder."
        ) from None
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile, EOFError) as error:
        reason = "it needs a password" if "password" in str(error) else str(error).casefold()
        raise DataError(
            f"it cannot be unpacked: {reason}", file.name, "Unpack it, and name the folder."
        ) from None
