"""Prepare one data file in a temporary folder, as a build would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.certificate_lock import CertificateLock
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Dataset, Examples
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import prepare
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


def prepare_in(
    base: Path,
    content: str | bytes | None,
    name: str = "data.csv",
    certify: dict[str, Any] | None = None,
    clean: list[Any] | None = None,
    task: Task | None = None,
    **data: Any,
) -> Prepared:
    """Write a file and prepare it; calling again keeps certificate.lock, as a rebuild does."""
    if content is not None:
        (base / name).write_bytes(content.encode() if isinstance(content, str) else content)
    product = Product.model_validate(
        {
            "task": "text_classification",
            "data": {"path": name, **data},
            "bar": {"metric": "accuracy", "at_least": 0.9},
            "certify": certify or {},
            "clean": clean,
        }
    )
    folder = base / f"prepared-{len(list(base.glob('prepared-*')))}"
    folder.mkdir()
    lock = CertificateLock(base / "certificate.lock")
    return Prepared(prepare(product, base, task or TextClassification(), lock, folder), folder)
