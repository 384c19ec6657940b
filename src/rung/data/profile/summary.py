"""Summarise the chosen columns before a build: missing, duplicate, contradictory and rare values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rung.core.activity import doing
from rung.core.blobs import BlobStore
from rung.core.kind import Kind, kind
from rung.core.target_names import name_words
from rung.core.task import Task
from rung.data.prepare.column_formats import SourceFormats
from rung.data.prepare.hashing import hash64
from rung.data.prepare.ingest import TargetReader, parse_inputs
from rung.data.prepare.missing_labels import ambiguous_words
from rung.data.sources.read import Source, read_rows

_SAMPLE = 500
_CHARS = 1_000_000
_MOST_VALUES = 1_000
# Two people who label the same texts agree at least so far (kappa), or their columns have a word in common.
_LEAST_KAPPA = 0.4


@dataclass(frozen=True)
class Agreement:
    """A second column that labels the same rows: share of equal labels, and Cohen's kappa (1960)."""

    column: str
    rows: int
    share: float
    kappa: float


@dataclass(frozen=True)
class Survey:
    """Counts over the rows looked at. labels: target -> rows; labelled: rows that have one, where a row may have several. chars: median and 95th percentile of the input.
    cells: texts of columns whose kind shows in the data -> rows. missing_words: words of the target that may be labels or mean "no label". encoding: of the characters; "" where the format fixes them. mixed: there are several. undecodable: rows in another encoding than the file's."""

    rows: int
    unreadable: int
    empty: int
    unlabelled: int
    duplicates: int
    contradictory: int
    labels: Mapping[str, int]
    chars: tuple[int, int]
    encoding: str
    mixed: bool
    agreement: Agreement | None = None
    sample: tuple[str, ...] = field(default=(), repr=False)
    missing_words: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, int]] = field(default_factory=dict, repr=False)
    labelled: int = 0
    undecodable: int = 0

    @property
    def usable(self) -> int:
        """Return the rows that could train or certify."""
        return (self.labelled or sum(self.labels.values())) - self.duplicates - self.contradictory


@doing("read")
def survey(
    source: Source,
    inputs: Sequence[str],
    target: str,
    task: Task,
    most_rows: int,
    open_every: int = 1,
    formats: SourceFormats | None = None,
) -> Survey:
    """Return what the first rows hold, read as the task would read them.

    formats: how the target is written; by default each cell by itself.
    open_every: of so many files of media one is opened; the others are told by their hash.
    """
    schema = formats.schema if formats else task.schema(tuple(inputs), [])
    answer = schema.outputs[0]
    read_target, second_label = TargetReader(task, answer, None), TargetReader(task, answer, None)
    fields = [(f.name, kind(f.kind)) for f in schema.inputs]
    place = source.place(BlobStore(Path(), Path()), Path())
    counts: Counter[str] = Counter()
    cells = {name: Counter[str]() for name, known in fields if type(known).cast is not Kind.cast}
    labels: Counter[str] = Counter()
    first: dict[int, str] = {}
    lengths: list[int] = []
    sample: list[str] = []
    pairs = {c: Counter[tuple[str, str]]() for c in source.columns if c not in {*inputs, target}}
    for row in islice(read_rows(source, (*inputs, target)), most_rows):
        counts["rows"] += 1
        if row.values is None:
            counts.update(unreadable=1, undecodable=int(row.problem.startswith("undecodable")))
            continue
        place.opens_media = counts["rows"] % open_every == 0
        values, problem = parse_inputs(fields, row.values, place.at(row.folder))
        if problem:
            counts["unreadable"] += 1
            continue
        for name, counter in cells.items():
            counter["" if values[name] is None else str(values[name])] += 1
        shown = (known.preview_text(values[name], _CHARS) for name, known in fields)
        text = " ".join(shown).strip()
        label, _ = read_target(row.values.get(target))
        if not text or label is None:
            counts["empty" if not text else "unlabelled"] += 1
            continue
        name = kind(answer.kind).to_cell(label) if isinstance(label, tuple) else str(label)
        labels[name] += 1
        lengths.append(len(text))
        sample += [text[:2000]] if len(sample) < _SAMPLE else []
        unit = hash64(task.dedup_key(values))
        if unit in first:
            counts["duplicate" if first[unit] == name else "contradictory"] += 1
        first.setdefault(unit, name)
        _pair(pairs, row.values, name, lambda cell: second_label(cell)[0])
    names = [*dict.fromkeys(table.encoding for table in source.tables if table.encoding)]
    return Survey(
        counts["rows"], counts["unreadable"], counts["empty"], counts["unlabelled"],
        counts["duplicate"], counts["contradictory"], dict(labels.most_common(_MOST_VALUES)), _middle_and_most(lengths),
        ", ".join(names), counts["undecodable"] > 0 or len(names) > 1, _agreement(target, pairs, labels), tuple(sample),
        ambiguous_words(read_target.words, len(labels), labels.total()), cells, labels.total(), counts["undecodable"],
    )  # fmt: skip


def _middle_and_most(lengths: list[int]) -> tuple[int, int]:
    """Return the median and the 95th percentile of lengths."""
    ordered = sorted(lengths)
    return (ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]) if ordered else (0, 0)


def _pair(
    pairs: dict[str, Counter[tuple[str, str]]],
    values: Mapping[str, Any],
    name: str,
    parse: Callable[[Any], Any],
) -> None:
    """Count a row's label beside its value in every other column; a column of too many values is dropped."""
    for column in list(pairs):
        other = parse(values.get(column))
        if other is not None:
            pairs[column][name, str(other)] += 1
            if len(pairs[column]) > _MOST_VALUES:
                del pairs[column]


def _agreement(
    target: str, pairs: Mapping[str, Counter[tuple[str, str]]], labels: Mapping[str, int]
) -> Agreement | None:
    """Return how often another column that holds the same labels agrees; None when no column does."""
    for column, counted in pairs.items():
        rows = counted.total()
        theirs: Counter[str] = Counter()
        ours: Counter[str] = Counter()
        for (our, their), n in counted.items():
            ours[our] += n
            theirs[their] += n
        if rows < 20 or len(theirs) < 2 or not set(theirs) <= set(labels):
            continue
        share = sum(n for (our, their), n in counted.items() if our == their) / rows
        chance = sum(ours[name] * theirs[name] for name in ours) / rows**2
        kappa = (share - chance) / max(1 - chance, 1e-9)
        # Another question with the same answers, such as yes and no, is no second opinion.
        if kappa < _LEAST_KAPPA and not (name_words(column) & name_words(target)):
            continue
        return Agreement(column, rows, round(share, 4), round(kappa, 4))
    return None
