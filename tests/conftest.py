"""Fixtures: real BBC news in small portions, and one small build shared by the tests that only read it."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from preparing import prepare_in
from support import ROOT, write_csv, write_spec

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def news_folder() -> Path:
    """The BBC news of `make demo`: one folder per class."""
    subprocess.run([sys.executable, str(ROOT / "examples" / "fetch.py"), "news"], check=True)
    return ROOT / "examples" / "news" / "data"


@pytest.fixture(scope="session")
def news_rows(news_folder) -> list[tuple[str, str]]:
    """(text, label) of 120 articles a class, the first 500 characters of each."""
    rows = []
    for folder in sorted(p for p in news_folder.iterdir() if p.is_dir()):
        for path in sorted(folder.glob("*.txt"))[:120]:
            rows.append((" ".join(path.read_bytes().decode("utf-8", "replace").split())[:500], folder.name))
    return rows


@pytest.fixture(scope="session")
def news_csv(news_rows, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("news") / "news.csv"
    write_csv(path, ["text", "label"], news_rows)
    return path


@pytest.fixture(scope="session")
def built(news_csv, tmp_path_factory):
    """One certified build of the small news table."""
    import rung

    folder = tmp_path_factory.mktemp("built")
    return rung.build(write_spec(folder, news_csv), run=folder / "run")


@pytest.fixture
def prepared(tmp_path):
    """`prepare_in` the test's folder: write a file and prepare it as a build would."""
    return functools.partial(prepare_in, tmp_path)


@pytest.fixture
def rows() -> list[tuple[str, str]]:
    """80 different texts of two labels."""
    return [
        (f"ticket {i} about {'ships' if i % 2 else 'trees'}", "sea" if i % 2 else "land") for i in range(80)
    ]


@pytest.fixture
def table(rows) -> str:
    """`rows` as CSV."""
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
