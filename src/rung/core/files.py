"""Atomic writes of files and folders: after a crash the old or the new content is there, never half of it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rung.core.errors import RunError

_CHUNK = 1 << 20


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=False, default=str) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends well, and vanishes when it does not."""
    temporary = target.with_name(target.name + ".tmp")
    with writing(target.parent):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if target.exists():
                shutil.rmtree(target)
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(path: Path, mode: int = 0o600) -> Iterator[None]:
    """Hold a lock file against other processes, which wait; Windows has no such lock, and nothing is held there."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    try:
        if os.name != "nt":
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into an error people can act on."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: (
                "the disk is full",
                "Free some space and run the same command: it goes on where it stopped.",
            ),
            errno.EDQUOT: ("the disk quota is used up", "Free some space and run the same command."),
            errno.EACCES: (
                "writing is not allowed here",
                "Choose another folder with --run, or mend its permissions.",
            ),
            errno.ENOENT: ("there is no such folder", "Make it first, or choose another."),
            errno.ENOTDIR: ("this is not a folder", "Choose another."),
            errno.EROFS: ("the file system is read-only", "Choose another folder with --run."),
        }
        ours = error.errno in {errno.ENOENT, errno.ENOTDIR} and place.is_dir()
        if error.errno not in reasons or ours:
            full = disk_full_error(error, place)
            if full is None:
                raise
            raise full from error
        problem, fix = reasons[error.errno]
        raise RunError(problem, str(place), fix) from error
    except RunError:
        raise
    except Exception as error:  # Of a library that writes by itself.
        full = disk_full_error(error, place)
        if full is None:
            raise
        raise full from error


def disk_full_error(error: BaseException, place: Path | None = None) -> RunError | None:
    """Return an error in words where the reason of an error is a full disk, however a library wrapped it; else None."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        number = found.errno if isinstance(found, OSError) else None
        text = str(found)
        if (
            number == errno.ENOSPC
            or "No space left on device" in text
            or "not enough free space" in text.lower()
        ):
            problem = "the disk is full"
        elif number == errno.EDQUOT or "Disk quota exceeded" in text:
            problem = "the disk quota is used up"
        else:
            found = found.__cause__ or found.__context__
            continue
        fix = "Free some space and run the same command: it goes on where it stopped."
        return RunError(problem, str(place or getattr(found, "filename", None) or ""), fix)
    return None


def _sync_folder(folder: Path) -> None:
    """Make a rename outlast a power cut, where the system lets folders be synced."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_json(path: Path) -> Any:
    """Return the JSON value of a file."""
    return json.loads(path.read_text(encoding="utf-8"))


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
