"""A small product to label: rows of three topics in English and Chinese, and its labelling session."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from rung.workflows.label import open_labelling_session
from support import write_csv

LABELS = {"ships": "boats, harbours, the sea", "trees": "forests, wood, leaves", "gold": "money, coins"}
_WORDS = {
    "ships": ["the ship left harbour", "a boat on the sea", "船在港口", "大海上的船"],
    "trees": ["a tree in the forest", "leaves and wood", "森林里的树", "树叶和木头"],
    "gold": ["coins of gold", "the bank has money", "黄金和硬币", "银行里的钱"],
}


def truth_of(text: str) -> str:
    """Return the true label of a row of `rows`."""
    return next(label for label, starts in _WORDS.items() if any(text.startswith(s) for s in starts))


def rows(count: int = 400) -> list[str]:
    """Return different texts of three topics."""
    starts = [start for label in _WORDS for start in _WORDS[label]]
    return [f"{starts[i % len(starts)]} number {i} of {i * 7 % 13}" for i in range(count)]


SPEC = """name: desk
task: text_classification
data: {path: rows.csv, input: text, target: label}
bar: {metric: accuracy, at_least: 0.7}
budget: {effort: 0, threads: 1}
ladder: [majority, tfidf_linear]
labelling:
  labels: {ships: "boats, harbours, the sea", trees: "forests, wood, leaves", gold: "money, coins"}
  guidelines: |
    One label a row. 每行一个标签。
  weights: none
  audit_rows: 40
"""


def write_product(folder: Path, count: int = 400, extra: str = "") -> Path:
    """Write rows.csv without labels and a product.yaml; return the latter's path."""
    write_csv(folder / "rows.csv", ["text"], [(text,) for text in rows(count)])
    path = folder / "product.yaml"
    path.write_text(SPEC + extra, encoding="utf-8")
    return path


@contextmanager
def session_in(folder: Path, count: int = 400, extra: str = "", background: bool = False):
    """Yield the labelling session of a product that is written if it does not exist."""
    path = folder / "product.yaml"
    if not path.exists():
        write_product(folder, count, extra)
    with open_labelling_session(path, background=background) as session:
        yield session


def label_rows(session, author: str, count: int) -> list:
    """Label as a person would who is always right; return what was asked."""
    asked = []
    for _ in range(count):
        item = session.next(author)
        if item is None:
            break
        session.record_answer(author, item.row.text, "label", truth_of(item.row.cells["text"]))
        asked.append(item)
    return asked
