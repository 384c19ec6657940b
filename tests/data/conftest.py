"""A product of one data file in a temporary folder, prepared as a build would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rung.core.lock import CertificateLock
from rung.core.product import Product
from rung.core.types import Dataset, Examples
from rung.data.prepare import prepare
from rung.data.tables import read_examples
from rung.tasks.text_classification import TextClassification


@dataclass(frozen=True)
class Prepared:
    dataset: Dataset
    folder: Path

    @property
    def facts(self) -> Any:
        return self.dataset.facts

    @property
    def train(self) -> Examples:
        return read_examples(self.dataset, "train")

    @property
    def certification(self) -> Examples:
        return read_examples(self.dataset, "certification")

    @property
    def quarantine(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "quarantine.jsonl").read_text().splitlines()]


Prepare = Callable[..., Prepared]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepare:
    """Write a file and prepare it; calling again keeps certificate.lock, as a rebuild does."""
    count = 0

    def run(
        content: str | bytes | None,
        name: str = "data.csv",
        certify: dict[str, Any] | None = None,
        **data: Any,
    ) -> Prepared:
        nonlocal count
        count += 1
        if content is not None:
            (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        product = Product.model_validate(
            {
                "task": "text_classification",
                "data": {"path": name, **data},
                "bar": {"metric": "accuracy", "at_least": 0.9},
                "certify": certify or {},
            }
        )
        folder = tmp_path / f"prepared-{count}"
        folder.mkdir()
        lock = CertificateLock(tmp_path / "certificate.lock")
        return Prepared(prepare(product, tmp_path, TextClassification(), lock, folder), folder)

    return run


@pytest.fixture
def rows() -> list[tuple[str, str]]:
    """80 different texts of two labels."""
    return [
        (f"ticket {i} about {'ships' if i % 2 else 'trees'}", "sea" if i % 2 else "land") for i in range(80)
    ]


@pytest.fixture
def table(rows: list[tuple[str, str]]) -> str:
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
