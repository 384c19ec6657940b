"""Open a folder by what it holds: boxes on images, texts beside images, or a sub-folder per class."""

from __future__ import annotations

from pathlib import Path

from rung.data.readers.box_folder import open_box_folder
from rung.data.readers.folder import open_folder
from rung.data.readers.transcribed_folder import open_transcribed
from rung.data.sources.rows import Table


def open_any_folder(path: Path, name: str) -> Table:
    """Return the table of a folder; raises DataError when it is of no kind that is read."""
    return open_box_folder(path, name) or open_transcribed(path, name) or open_folder(path, name)
