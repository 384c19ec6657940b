"""The how-to pages are followed literally: their files are written, entered, and built with."""

import re
import sys

import pytest

import rung
from rung.core import registry
from rung.core.product import Product
from support import ROOT, write_csv

BLOCK = re.compile(r"```python file=(\S+)\n(.*?)```", re.S)
TOML = re.compile(r'^(\w+) = "rung\.(tasks|models)\.(\w+):(\w+)"$', re.M)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs what a page says as a package of its own."""

    def run(page):
        text = (ROOT / "docs" / "howto" / page).read_text(encoding="utf-8")
        files = dict(BLOCK.findall(text))
        assert files
        for name, code in files.items():
            (tmp_path / name).write_text(code, encoding="utf-8")
        entries = {"tasks": [], "models": []}
        for name, group, module, attribute in TOML.findall(text):
            assert f"{module}.py" in files
            entries[group].append(f"{name} = {module}:{attribute}")
        info = tmp_path / "followed-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: followed\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "".join(f"[rung.{g}]\n" + "\n".join(e) + "\n" for g, e in entries.items())
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        registry._found.cache_clear()
        return [name.removesuffix(".py") for name in files]

    yield run
    registry._found.cache_clear()
    for name in ("keyword_count", "spelling_check", "always_yes"):
        sys.modules.pop(name, None)


def test_add_a_model(install, news_csv, tmp_path, monkeypatch):
    (name,) = install("add-a-model.md")
    monkeypatch.chdir(tmp_path)
    spec = {
        "task": "text_classification", "data": {"path": str(news_csv)}, "bar": {"metric": "accuracy", "at_least": 0.5},
        "budget": {"effort": 0, "threads": 1}, "ladder": ["majority", "keyword_count", "tfidf_linear"],
    }  # fmt: skip
    done = rung.build(Product.model_validate(spec), run=tmp_path / "run")
    assert (
        name in [t["rung"] for t in done.report["trials"]] and done.report["winner"] == name and done.cleared
    )
    assert rung.load(done.bundle).selftest() == []


def test_add_a_task(install, tmp_path, monkeypatch):
    install("add-a-task.md")
    monkeypatch.chdir(tmp_path)
    rows = [(f"word{i}", "1" if i % 10 else "0") for i in range(400)]
    write_csv(tmp_path / "words.csv", ["word", "ok"], rows)
    spec = {
        "task": "spelling_check", "data": {"path": "words.csv", "input": "word", "target": "ok"},
        "bar": {"metric": "accuracy", "at_least": 0.8},
    }  # fmt: skip
    done = rung.build(Product.model_validate(spec), run=tmp_path / "run")
    assert done.report["winner"] == "always_yes" and done.report["certificate"]["exact"]
    task = registry.task("spelling_check")
    tiny = task.tiny()
    assert task.metric("accuracy", task.schema(["word"], [])).score(
        [r["target"] for r in tiny],
        registry.model("always_yes")().predict({"word": [r["word"] for r in tiny]}),
        task.schema(["word"], []),
    ) == pytest.approx(0.5)
