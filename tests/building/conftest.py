"""Model families of a plugin, on the path of the test and of the processes it starts."""

import sys
from pathlib import Path

import pytest

from rung.core.plugins import refresh

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture(autouse=True)
def job_models(monkeypatch):
    """Put the plugin on the path: its entry points are found like those of any installed package."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.setenv("PYTHONPATH", f"{PLUGIN}:{':'.join(p for p in sys.path if p)}")
    refresh()
    yield
    refresh()
    sys.modules.pop("job_models", None)


@pytest.fixture
def spec(tmp_path):
    """Write a product of 200 easy texts with a ladder and more keys; return its path."""

    def write(ladder, more="", count=200):
        rows = [
            f"ticket {i} about {'ships' if i % 2 else 'trees'},{'sea' if i % 2 else 'land'}"
            for i in range(count)
        ]
        (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
        path = tmp_path / "product.yaml"
        path.write_text(
            "name: desk\ntask: text_classification\ndata: {path: rows.csv, input: text, target: label}\n"
            # One word tells the label: that is what makes them easy.
            f"bar: {{metric: accuracy, at_least: 0.7}}\nladder: {ladder}\naccept: [leak_word]\n{more}"
        )
        return path

    return write
