"""Removes the inputs of served requests that an improvement copied into its folder to build a challenger.

The journal is the only place that keeps inputs: there they are encrypted, expire, and can be erased. The challenger's
bundle stays; its packed examples are rows of the product's own data.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rung.core.errors import RungError
from rung.core.files import write_text

FOLDER_NAME = "improve"
FEEDBACK_FILE, AUDIT_FILE = "feedback.jsonl", "audit.jsonl"
# Of a run: the embeddings of its rows that the cache of all builds has not.
EMBEDDINGS = "embeddings"
# Keys of reports and findings whose values quote rows, or hold a hash of their text.
_QUOTES = frozenset(
    {"excerpt", "input", "text", "reasons", "thumbnails", "word", "words", "example", "examples"}
)


def remove_input_copies(folder: Path) -> None:
    """Remove the copies of inputs from the folder of one improvement: data files, embeddings, and what reports quote.

    `report.html` is removed too; who has the words renders it again.
    """
    for name in (FEEDBACK_FILE, AUDIT_FILE):
        (folder / name).unlink(missing_ok=True)
    for name in ("data", EMBEDDINGS):
        shutil.rmtree(folder / "run" / name, ignore_errors=True)
    (folder / "run" / "report.html").unlink(missing_ok=True)
    for path in [*folder.rglob("*.json"), *folder.rglob("*.jsonl")]:
        if "bundle" not in path.relative_to(folder).parts:
            _remove_quotes(path)


def remove_left_copies(home: Path) -> None:
    """Remove what improvements that were killed left in their folders below `home`."""
    copies = (FEEDBACK_FILE, AUDIT_FILE, "run/data", f"run/{EMBEDDINGS}")
    for left in home.glob("*"):
        if any((left / name).exists() for name in copies):
            remove_input_copies(left)


def remove_all_input_copies(service: Path) -> None:
    """Remove the copies of all improvements of a service folder, unless one is running: that one does it at its end."""
    home = service / FOLDER_NAME
    if not home.is_dir():
        return
    try:
        with exclusive_access(service):
            for folder in home.iterdir():
                if folder.is_dir():
                    remove_input_copies(folder)
    except RungError:
        return


@contextmanager
def exclusive_access(service: Path) -> Iterator[None]:
    """Lock the service folder against a second improvement, until this process ends. Raises RungError while one runs."""
    if os.name == "nt":  # Windows has no such lock.
        yield
        return
    import fcntl

    handle = os.open(service / "improving.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RungError("another improvement is running", str(service), "Let it finish.") from None
        yield
    finally:
        os.close(handle)


def _remove_quotes(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            cleared = _without_quotes(raw := json.loads(text))
            if cleared != raw:
                write_text(path, json.dumps(cleared, ensure_ascii=False, indent=1) + "\n")
            return
        lines = [
            json.dumps(_without_quotes(json.loads(line)), ensure_ascii=False) + "\n"
            for line in text.splitlines()
        ]
        write_text(path, "".join(lines))
    except ValueError:
        # Half a file of a build that was killed: nothing reads it any more.
        path.unlink(missing_ok=True)


def _without_quotes(value: Any) -> Any:
    """Return a JSON value in which the texts and lists below quoting keys are empty."""
    if isinstance(value, dict):
        # A column may be called "text": what is below it is looked at like everything else.
        return {
            k: type(v)() if k in _QUOTES and isinstance(v, str | list) else _without_quotes(v)
            for k, v in value.items()
        }
    return [_without_quotes(item) for item in value] if isinstance(value, list) else value
