"""Parse one sheet of a workbook once, into a file of rows that belongs to this process alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from weakref import finalize

from rung.core.errors import DataError, MissingExtra, did_you_mean
from rung.data.sources.files import MOST_TIMES, MOST_UNPACKED, File

_OLE, _ZIP = b"\xd0\xcf\x11\xe0", b"PK"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MOST_INDEX = 1 << 24
_PIECE = 1 << 20
_AGAIN = "Open it in Excel or LibreOffice and save it again, or export the sheet as CSV."


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook. merged: top, left, bottom, right from 0; None where the format does not tell."""

    name: str
    sheets: tuple[str, ...]
    hidden: frozenset[str]
    merged: tuple[tuple[int, int, int, int], ...] | None
    _lines: IO[bytes]
    _begin: int

    def rows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield number, from 1, and cells of each row that has any, at each call."""
        at, kept = self._begin, b""
        while piece := os.pread(self._lines.fileno(), _PIECE, at):
            at += len(piece)
            *lines, kept = (kept + piece).split(b"\n")
            for line in lines:
                number, cells = json.loads(line)
                yield number, cells


def read_sheet(file: File, asked: str | int | None) -> Sheet:
    """Return the sheet asked for by name or number, else the first that is shown.

    Raises DataError when there is none, or the file is none, damaged, locked, or a bomb.
    """
    if find_spec("python_calamine") is None:
        raise MissingExtra("reading spreadsheets", "excel", "python-calamine") from None
    _refuse(file)
    lines = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        sheet = _parsed(file, asked, lines)
    except BaseException:
        lines.close()
        raise
    finalize(sheet, lines.close)
    return sheet


def _parsed(file: File, asked: str | int | None, lines: IO[bytes]) -> Sheet:
    worker = Path(__file__).with_name("sheet_worker.py")
    command = [sys.executable, "-I", str(worker), str(file.path), json.dumps(asked)]
    quiet = {**os.environ, "RUST_BACKTRACE": "0"}
    done = subprocess.run(command, stdout=lines, stderr=subprocess.PIPE, env=quiet, check=False)
    lines.seek(0)
    book, sheet = _facts(lines), _facts(lines)
    for found in (book, sheet):
        if found.get("error"):
            raise _locked(file) if found["error"] == "locked" else damaged(file, found["reason"])
    if done.returncode:
        raise _too_large(file, done)
    names = tuple(book["sheets"])
    if book["sheet"] is None:
        raise _no_sheet(names, asked, file.name)
    merged = sheet["merged"]
    return Sheet(
        book["sheet"],
        names,
        frozenset(book["hidden"]),
        None if merged is None else tuple((*first, *last) for first, last in merged),
        lines,
        lines.tell(),
    )


def damaged(file: File, reason: object) -> DataError:
    """Return the error of a workbook that cannot be read."""
    first = (str(reason).strip("'\"").splitlines() or [""])[0].rstrip(".")
    return DataError(f"this is no workbook, or a damaged one: {first[:200]}", file.name, _AGAIN)


def _facts(lines: IO[bytes]) -> dict[str, Any]:
    """Return the mapping on the next line; {} where the worker did not come so far."""
    try:
        found = json.loads(next(lines, b"{}"))
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _refuse(file: File) -> None:
    """Raise DataError for a file that is no workbook at first sight, is locked, or unpacks to far too much."""
    with file.open() as stream:
        begin = stream.read(_MOST_INDEX)
    if begin.startswith(_OLE):
        if _ENCRYPTED in begin:
            raise _locked(file)
        return
    if not begin.startswith(_ZIP):
        looks = "HTML" if b"<html" in begin[:2000].lower() or b"<table" in begin[:2000].lower() else "text"
        fix = "Programs export such files under the name of a workbook. Open it in Excel or LibreOffice and save it as .xlsx"
        fix += ", or rename it to .csv if it is comma-separated." if looks == "text" else "."
        if b"\0" not in begin[:2000]:
            raise DataError(f"this is {looks}, no workbook", file.name, fix)
        raise damaged(file, "it begins like none")
    try:
        with zipfile.ZipFile(file.path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise damaged(file, error) from None
    if unpacked > max(MOST_UNPACKED, MOST_TIMES * file.path.stat().st_size):
        raise DataError(
            f"it unpacks to {unpacked:,} bytes, more than {MOST_TIMES} times its size",
            file.name,
            "That is how decompression bombs look. Save the sheet as CSV.",
        )


def _locked(file: File) -> DataError:
    return DataError("the workbook is locked with a password", file.name, "Save it without a password.")


def _too_large(file: File, done: subprocess.CompletedProcess[bytes]) -> DataError:
    said = done.stderr.decode(errors="replace")
    if "memory" not in said.lower():
        return damaged(file, (said.strip().splitlines() or [f"exit {done.returncode}"])[-1])
    fix = "Delete what stands far below or right of the table, or export the sheet as CSV."
    return DataError("the sheet takes more than 4 GiB of memory: its cells lie far apart", file.name, fix)


def _no_sheet(names: tuple[str, ...], asked: str | int | None, name: str) -> DataError:
    if not names:
        return DataError("the workbook has no sheet of cells", name, "It needs a sheet with a table.")
    if isinstance(asked, int):
        listed = ", ".join(f"'{sheet}'" for sheet in names[:12])
        fix = f"By number there are 1 to {len(names)}; a name that is a number needs quotes. The sheets: {listed}."
        return DataError(f"there is no sheet {asked} (data.sheet)", name, fix)
    return DataError(f"there is no sheet '{asked}' (data.sheet)", name, did_you_mean(str(asked), names))
