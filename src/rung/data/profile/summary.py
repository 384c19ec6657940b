"""Summarise the chosen columns before a build: missing, duplicate, contradictory and rare values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rung.core.blobs import BlobStore
from rung.core.kind import kind
from rung.core.task import Task
from rung.data.prepare.hashing import hash64
from rung.data.prepare.ingest import parse_inputs
from rung.data.sources.read import Source, read_rows

_SAMPLE = 500
_CHARS = 1_000_000
_MOST_VALUES = 1_000


@dataclass(frozen=True)
class Agreement:
    """A second column that labels the same rows: share of equal labels, and Cohen's kappa (1960)."""

    column: str
    rows: int
    share: float
    kappa: float


@dataclass(frozen=True)
class Survey:
    """Counts over the rows looked at. labels: target -> rows. chars: median and 95th percentile of the input.
    encoding: of the characters; the name of the source where its format fixes them. mixed: there are several."""

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

    @property
    def usable(self) -> int:
        """Return the rows that could train or certify."""
        return sum(self.labels.values()) - self.duplicates - self.contradictory


def survey(
    source: Source,
    inputs: Sequence[str],
    target: str,
    task: Task,
    most_rows: int,
    open_every: int = 1,
) -> Survey:
    """Return what the first rows hold, read as the task would read them.

    open_every: of so many files of media one is opened; the others are told by their hash.
    """
    parse = task.parse_target
    fields = [(f.name, kind(f.kind)) for f in task.schema(tuple(inputs), []).inputs]
    place = source.place(BlobStore(Path(), Path()), Path())
    counts: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    first: dict[int, str] = {}
    lengths: list[int] = []
    sample: list[str] = []
    pairs: dict[str, Counter[tuple[str, str]]] = {
        c: Counter() for c in source.columns if c not in {*inputs, target}
    }
    for row in islice(read_rows(source), most_rows):
        counts["rows"] += 1
        if row.values is None:
            counts["unreadable"] += 1
            counts["undecodable"] += row.problem.startswith("undecodable")
            continue
        place.opens_media = counts["rows"] % open_every == 0
        values, problem = parse_inputs(fields, row.values, place)
        if problem:
            counts["unreadable"] += 1
            continue
        shown = (known.preview_text(values[name], _CHARS) for name, known in fields)
        text = " ".join(shown).strip()
        label = parse(row.values.get(target))
        if not text or label is None:
            counts["empty" if not text else "unlabelled"] += 1
            continue
        name = str(label)
        labels[name] += 1
        lengths.append(len(text))
        if len(sample) < _SAMPLE:
            sample.append(text[:2000])
        unit = hash64(task.dedup_key(values))
        if unit in first:
            counts["duplicate" if first[unit] == name else "contradictory"] += 1
        first.setdefault(unit, name)
        _pair(pairs, row.values, name, parse)
    lengths.sort()
    names = list(dict.fromkeys(table.encoding for table in source.tables if table.encoding))
    chars = (lengths[len(lengths) // 2], lengths[int(len(lengths) * 0.95)]) if lengths else (0, 0)
    return Survey(
        counts["rows"], counts["unreadable"], counts["empty"], counts["unlabelled"],
        counts["duplicate"], counts["contradictory"], dict(labels.most_common(_MOST_VALUES)), chars,
        ", ".join(names) or source.tables[0].name, counts["undecodable"] > 0 or len(names) > 1, _agreement(pairs, labels), tuple(sample),
    )  # fmt: skip


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


def _agreement(pairs: Mapping[str, Counter[tuple[str, str]]], labels: Mapping[str, int]) -> Agreement | None:
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
        return Agreement(column, rows, round(share, 4), round((share - chance) / max(1 - chance, 1e-9), 4))
    return None
