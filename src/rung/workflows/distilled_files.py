"""The tables that a distillation leaves: train.csv, where each row says who labelled it, and gold.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rung.core.spec.product import Product
from rung.core.types import Columns, Examples, Prediction
from rung.workflows.synthetic_rows import MARK, Synthetic


def write_distilled(
    home: Path,
    product: Product,
    gold: tuple[Examples, Examples],
    inputs: Columns,
    kept: Sequence[tuple[int, Prediction]],
    by: tuple[str, Synthetic],
) -> int:
    """Write train.csv and gold.csv; return how many rows of the pool are in the former.

    gold: rows labelled by people that train, and that certify. kept: rows of the pool with the teacher's answers. by: the teacher's name, and
    what it made up.
    """
    train, certification = gold
    names, target = list(product.data.input), product.data.target or "label"
    head = [*names, target, "labelled_by", "confidence"]
    teacher, made = by
    taught = [[*(inputs[n][row] for n in names), a.value, teacher, f"{a.score or 0:.4f}"] for row, a in kept]
    written = [[text, label, teacher + MARK, ""] for text, label in made.rows]
    _csv(home / "train.csv", head, [*_people(train, names), *taught, *written])
    if len(certification):
        _csv(home / "gold.csv", head, _people(certification, names))
    return len(taught)


def _people(examples: Examples, names: Sequence[str]) -> list[list[Any]]:
    records = zip(examples.records(), examples.targets, strict=True)
    return [[*(row[name] for name in names), target, "people", ""] for row, target in records]


def _csv(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
