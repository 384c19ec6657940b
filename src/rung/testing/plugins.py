"""Use a plugin that lies in a folder as if it were installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rung.core.plugins import refresh


@contextmanager
def plugin(folder: Path) -> Iterator[None]:
    """Put a folder with modules and their `*.dist-info/entry_points.txt` on the path; take it off at the end.

    Processes that rung starts meanwhile find the plugin too.
    """
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    refresh()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        refresh()
        for name in set(sys.modules) - before:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin and Path(origin).is_relative_to(folder):
                del sys.modules[name]
