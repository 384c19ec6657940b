"""What checks may see: training rows with targets, and only the inputs of all other rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core import registry
from rung.core.excerpt import excerpt, thumbnails
from rung.core.kind import kind
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Columns, Dataset, Examples, Row
from rung.data.prepare.cleaning_log import cleaning_pipeline
from rung.data.prepare.column_formats import with_spec_labels
from rung.data.prepare.fingerprint import sources
from rung.data.prepare.ingest import TargetReader, needed_columns
from rung.data.prepare.near_media import media_fields, near_pairs, near_vectors
from rung.data.prepare.parquet import read_examples, read_sample
from rung.data.profile.finding import MOST_EVIDENCE, Evidence
from rung.data.sources.read import Source, read_rows
from rung.modalities.text.near_duplicates import DuplicatePairs, MinHasher, near_duplicate_pairs

# A check that reads every character looks at so many rows, spread evenly over the table.
SAMPLE = 100_000
# Texts from which shingles get their weights.
_HASHED = 50_000


@dataclass(frozen=True)
class View:
    """A prepared product as checks may see it.

    Evidence and excerpts come from training rows alone. Of certification rows a check gets inputs, never
    targets, and may publish counts and words of them, never a row. skipped: columns whose finding was reported already
    and is accepted: a check looks at the others.
    """

    product: Product
    base: Path
    dataset: Dataset
    skipped: frozenset[str] = frozenset()

    @property
    def task(self) -> Task:
        return registry.task(self.product.task)

    @cached_property
    def train(self) -> Examples:
        """Return up to SAMPLE training rows, spread evenly; the cheap checks look at these."""
        return read_sample(self.dataset, "train", SAMPLE)

    @cached_property
    def all_train(self) -> Examples:
        """Return every training row."""
        train = self.train
        return train if len(train) == self.dataset.facts["train"] else read_examples(self.dataset, "train")

    def target_numbers(self) -> npt.NDArray[np.float64] | None:
        """Return the target of each of `all_train`; None where it is no number, or there are no rows."""
        if self.dataset.schema.outputs[0].kind != "number" or not len(self.all_train):
            return None
        return np.array(self.all_train.targets, dtype=np.float64)

    @cached_property
    def texts(self) -> list[str]:
        """Return the text fields of each row of `train`, joined by line breaks."""
        return joined(self.train.inputs, self.text_fields)

    @property
    def text_fields(self) -> list[str]:
        """Return the names of the fields that hold text."""
        return [field.name for field in self.dataset.schema.inputs if kind(field.kind).is_prose]

    @cached_property
    def near_duplicates(self) -> DuplicatePairs:
        """Return the near duplicates among all training rows: of their texts, or of their media where they have none."""
        train, fields = self.all_train, self.text_fields
        if fields:
            texts = joined(train.inputs, fields)
            return near_duplicate_pairs(MinHasher([texts[i] for i in spread(len(texts), _HASHED)]), texts)
        media = media_fields(train.schema.inputs)
        left, right = near_pairs(media, near_vectors(media, train.inputs))
        return DuplicatePairs(left, right, np.ones(len(left), np.float32))

    @cached_property
    def labels(self) -> list[str]:
        """Return the target of each row of `train` where targets are categories; [] where they are not."""
        return [str(target) for target in self.train.targets] if self.dataset.schema.labels else []

    def certification(self, most: int) -> Columns:
        """Return the inputs of at most so many certification rows, spread evenly. Their targets stay unread."""
        return read_sample(self.dataset, "certification", most).inputs

    def unlabelled(self, most: int) -> Columns:
        """Return the inputs, mended, of the first rows whose cell of the target is empty, at most so many."""
        names = self.dataset.schema.input_names
        found: dict[str, list[Any]] = {name: [] for name in names}
        if "missing_target" not in self.dataset.facts["quarantined"]:
            return found
        chain = cleaning_pipeline(self.product, self.task)
        target = with_spec_labels(self.dataset.schema.outputs[0], self.product)
        read_target = TargetReader(self.task, target, self.product.data.missing_labels)
        for row in self.rows():
            values = row.values or {}
            inputs = {name: values.get(name) for name in names}
            missing = read_target(values.get(self.product.data.target))[0] is None
            if row.values is None or not missing:
                continue
            mended = chain.apply(
                {n: "" if v is None else str(v) for n, v in inputs.items()}, self.text_fields
            )
            if not mended.refused and not self.task.refuse_input(mended.values):
                for name, column in found.items():
                    column.append(mended.values[name])
                if len(found[names[0]]) >= most:
                    break
        return found

    @property
    def sources(self) -> list[Source]:
        """Return the source that training rows come from, and the user's own certification rows if there are any."""
        return [source for source, _ in sources(self.product, self.base)]

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the training source as they stand in it."""
        return read_rows(self.sources[0], needed_columns(self.product, self.task))

    def evidence(
        self, indices: Sequence[int], note: Callable[[int], str] = lambda _: ""
    ) -> tuple[Evidence, ...]:
        """Return rows of `train` as evidence, at most MOST_EVIDENCE of them."""
        return evidence(self.train, indices, note)


def evidence(
    examples: Examples, indices: Sequence[int], note: Callable[[int], str] = lambda _: ""
) -> tuple[Evidence, ...]:
    """Return these training rows as evidence, at most MOST_EVIDENCE of them."""
    files = examples.files or [""] * len(examples)
    return tuple(
        Evidence(
            files[i], int(examples.rows[i]), excerpt(examples, i), note(i), tuple(thumbnails(examples, i))
        )
        for i in map(int, indices[:MOST_EVIDENCE])
    )


def joined(inputs: Columns, names: Sequence[str]) -> list[str]:
    """Return these fields of each row, joined by line breaks."""
    columns = [inputs[name] for name in names]
    if len(columns) == 1:
        return [str(cell) for cell in columns[0]]
    return ["\n".join(map(str, cells)) for cells in zip(*columns, strict=True)]


def spread(rows: int, most: int) -> list[int]:
    """Return at most so many row numbers, evenly spread over all."""
    if rows <= most:
        return list(range(rows))
    return [int(row) for row in np.unique(np.linspace(0, rows - 1, most).astype(int))]


def share_words(counts: Mapping[str, int], total: int) -> str:
    """Return counts as `name 12%`, largest first, at most six."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:6]
    return ", ".join(f"{name} {count / max(total, 1):.0%}" for name, count in ranked)
