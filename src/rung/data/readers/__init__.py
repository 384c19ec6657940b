"""File readers, one module per format; a module lists its file endings in SUFFIXES and provides `open_table`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from rung.data.sources.files import File
from rung.data.sources.rows import Reading, Table


class Reader(Protocol):
    """What a module of this folder offers. SUFFIXES: in lower case, with their dot."""

    SUFFIXES: tuple[str, ...]

    def open_table(self, file: File, reading: Reading) -> Table:
        """Return the table that a file holds; raises DataError when it holds none."""


@cache
def readers() -> dict[str, Reader]:
    """Return the module that reads each ending, every module of this folder asked."""
    found: dict[str, Reader] = {}
    for info in iter_modules(__path__):
        module = cast(Reader, import_module(f"{__name__}.{info.name}"))
        found |= dict.fromkeys(getattr(module, "SUFFIXES", ()), module)
    return found
