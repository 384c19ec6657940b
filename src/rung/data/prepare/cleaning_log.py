"""Count what each cleaning step did during a build, with examples from training rows only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from rung.cleaning.pipeline import CleanedRow, CleaningPipeline
from rung.core.errors import DataError
from rung.core.kind import kind
from rung.core.spec.cleaning import DEFAULT_KINDS, PrivacySpec
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.privacy import find_personal_data
from rung.privacy.masking import redact

# So many are kept of each step until it is known which rows train.
_CANDIDATES, _EXAMPLES = 60, 3
_COUNTED = ("changed", "personal", "refused")
# Characters around the first difference: looked at for personal data, and shown.
_WINDOW, _SHOWN = 160, 40


def cleaning_pipeline(product: Product, task: Task) -> CleaningPipeline:
    """Return the steps that mend a product's texts, the same at building and at predicting.

    A task whose columns are told apart by what they hold (tables) mends none: each cell is read as the kind of its
    column. Raises DataError where the spec asks such a task to mend or mask.
    """
    if any(kind(field.kind).is_prose for field in task.schema(product.data.input, []).inputs):
        return CleaningPipeline.from_spec(product.clean, product.privacy)
    asked = [
        name
        for name, given in (("clean", product.clean), ("privacy", product.privacy != PrivacySpec()))
        if given
    ]
    if asked:
        raise DataError(
            f"the task {product.task} mends no texts",
            asked[0],
            "Leave it out, and prepare the columns before.",
        )
    return CleaningPipeline((), (), ())


@dataclass(frozen=True)
class _Change:
    """One text before and after a step, cut to where they first differ: there. index: of the staged row."""

    index: int
    file: str
    row: int
    there: int
    before: str
    after: str


class CleaningLog:
    """Applies a chain row by row and counts. Counts are of all rows, label-free; examples wait for `facts`."""

    def __init__(self, chain: CleaningPipeline) -> None:
        self._chain = chain
        names = [step.name for step in chain.steps] + (["drop"] if chain.drop else [])
        self._names = names + (["mask"] if chain.mask else [])
        self._changed: Counter[str] = Counter()
        self._personal: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._changes: dict[str, list[_Change]] = {name: [] for name in self._names}
        self._seen: Mapping[str, tuple[str, str]] = {}
        self._texts: Sequence[str] = ()
        self._masked = False
        self._rows = self._dropped = 0
        self._hidden = tuple(dict.fromkeys((*DEFAULT_KINDS, *chain.mask, *chain.drop)))

    def apply(self, values: Mapping[str, Any], texts: Sequence[str]) -> CleanedRow:
        """Return a row after the chain."""
        self._rows += 1
        seen: dict[str, tuple[str, str]] = {}

        def watch(name: str, old: str, new: str) -> None:
            seen.setdefault(name, (old, new))

        mended = self._chain.apply(values, texts, watch)
        self._seen = seen
        self._texts = [mended.values[name] for name in texts if isinstance(mended.values.get(name), str)]
        self._masked = bool(mended.personal)
        self._changed.update(seen.keys())
        if mended.refused:
            self._dropped += 1
            self._refused.update(mended.personal.keys())
        else:
            self._personal.update(mended.personal)
        return mended

    def staged(self, index: int, file: str, row: int) -> None:
        """Keep what changed in the last row as an example: it is the staged row of this index. No other row is shown."""
        for name, (old, new) in self._seen.items():
            if len(self._changes[name]) < _CANDIDATES and (name in {"mask", "drop"} or self._is_clear()):
                self._changes[name].append(_Change(index, file, row, *_windows(old, new)))

    def as_dict(self) -> dict[str, Any]:
        """Return all that `join` needs, as JSON knows it."""
        counts = {name: dict(getattr(self, f"_{name}")) for name in _COUNTED}
        changes = {name: [asdict(change) for change in kept] for name, kept in self._changes.items()}
        return {"rows": self._rows, "dropped": self._dropped, "counts": counts, "changes": changes}

    def join(self, other: Mapping[str, Any], staged: int) -> None:
        """Add what another log has counted. staged: rows that were staged before the first of its own."""
        self._rows += other["rows"]
        self._dropped += other["dropped"]
        for name, counts in other["counts"].items():
            getattr(self, f"_{name}").update(counts)
        for name, changes in other["changes"].items():
            kept = self._changes[name]
            for change in changes[: _CANDIDATES - len(kept)]:
                kept.append(_Change(**change | {"index": staged + change["index"]}))

    def _is_clear(self) -> bool:
        """Return whether the last row holds no personal data, which before a step may have been written as entities."""
        return not self._masked and not any(find_personal_data(text, self._hidden) for text in self._texts)

    def facts(self, trains: Callable[[int], bool]) -> list[dict[str, Any]]:
        """Return one object a step, in order: rows in, out and changed, three examples of rows that train."""
        found = []
        rows = self._rows
        for name in self._names:
            out = rows - (self._dropped if name == "drop" else 0)
            line: dict[str, Any] = {"step": name, "rows": rows, "left": out, "changed": self._changed[name]}
            if name in {"mask", "drop"}:
                kinds = self._personal if name == "mask" else self._refused
                line["kinds"] = {kind: count for kind, count in sorted(kinds.items()) if count}
            picked = [change for change in self._changes[name] if trains(change.index)][:_EXAMPLES]
            line["examples"] = [
                {
                    "file": c.file,
                    "row": c.row,
                    "before": _shown(c.there, c.before, self._hidden),
                    "after": _shown(c.there, c.after, self._hidden),
                }
                for c in picked
            ]
            found.append(line)
            rows = out
        return found


def _windows(old: str, new: str) -> tuple[int, str, str]:
    """Return both texts around the first place where they differ, and where in these pieces it lies."""
    first = next((i for i, (a, b) in enumerate(zip_longest(old, new)) if a != b), 0)
    begin, end = max(first - _WINDOW, 0), first + _WINDOW
    return first - begin, old[begin:end], new[begin:end]


def _shown(first: int, window: str, kinds: Sequence[str]) -> str:
    """Return a piece cut to a line, with dots for personal data: whatever was asked, a report holds none."""
    text = redact(window, kinds)
    begin = max(first - _SHOWN, 0)
    cut = text[begin : first + 2 * _SHOWN]
    return ("…" if begin else "") + cut.replace("\n", "⏎") + ("…" if first + 2 * _SHOWN < len(text) else "")
