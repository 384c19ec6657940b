"""Ask a bundle the requests of the journal again, and estimate what its lists would have earned from what was clicked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core import registry
from rung.core.errors import MissingExtra, RungError
from rung.core.manifest import LEARNED_UNTIL, Manifest, read_manifest
from rung.core.spec.product import load_product
from rung.improvement.off_policy import Impression, Interval, OffPolicyEstimate, estimate, gain
from rung.improvement.shown_lists import read_shown_lists
from rung.serving.subprocess_predict import predict_in_subprocess

if TYPE_CHECKING:
    from rung.journal.reader import JournalReader, LoggedPrediction
    from rung.workflows.review import ServedProduct

# Requests that are asked again, the latest ones.
_MOST = 100_000


@dataclass(frozen=True)
class Replay:
    """What a bundle would have earned. left_out: requests without propensities, without a stored input, and from before the
    bundle had learned from the journal.

    learned: it learned from these very clicks, so that the figures flatter it and no interval holds; so where none came later.
    served: clicks a list that came, over the same requests. estimated, gained: None where no request has propensities.
    """

    model: str
    version: str
    confidence: float
    left_out: dict[str, int]
    learned: bool
    served: float
    estimated: OffPolicyEstimate | None
    gained: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        found: dict[str, Any] = {
            "model": self.model,
            "version": self.version,
            "confidence": self.confidence,
            "left_out": self.left_out,
            "learned": self.learned,
            "served": self.served,
        }
        return found | {
            "estimate": self.estimated.as_dict() if self.estimated else None,
            "gain": vars(self.gained) if self.gained else None,
        }


def replay(bundle: Path, product: Path, confidence: float = 0.95, log: Path | None = None) -> Replay:
    """Return what a bundle would have earned on the journal of a product, or on lists that another system has shown.

    log: JSON lines of those, see `improvement.shown_lists`. Raises RungError for a bundle of another product, a task without lists, or a journal without propensities.
    """
    spec, base = load_product(product)
    manifest = read_manifest(bundle)
    if manifest.name != spec.name:
        raise RungError(
            f"the bundle is of '{manifest.name}', the journal of '{spec.name}'", str(bundle), "Name a bundle of this product."
        )  # fmt: skip
    if not registry.task(manifest.task).takes_exploration:
        fix = "Compare its answers with what users corrected: rung improve."
        raise RungError(
            f"the task {manifest.task} shows no lists of which one could be drawn", manifest.name, fix
        )
    if log is not None:
        rows, impressions = read_shown_lists(log)
        return _replay(manifest, bundle, rows, impressions, ({}, False), confidence)
    try:
        from rung.journal.reader import JournalReader
    except ImportError:
        raise MissingExtra("reading the journal", "ops", "SQLAlchemy") from None
    with JournalReader.from_folder(base / spec.serve.folder, manifest.schema.inputs) as journal:
        found = replayed(journal, bundle, manifest, confidence)
    if found.estimated is None:
        fix = "Write `serve: {explore: 0.05}` into product.yaml and serve: lists are then drawn by a rule that is logged."
        raise RungError("no list in the journal has propensities", spec.name, fix)
    return found


def replayed(journal: JournalReader, bundle: Path, manifest: Manifest, confidence: float) -> Replay:
    """Return what a bundle would have earned on a journal that is open."""
    from rung.journal.taken_items import clicks

    rows, left_out = _explored(journal, manifest.name)
    rows, learned = _unlearned(rows, manifest, left_out)
    taken = clicks(journal.feedback(manifest.name))
    impressions = [_impression(row, taken.get(row.id, frozenset())) for row in rows]
    asked = [row.input or {} for row in rows]
    return _replay(manifest, bundle, asked, impressions, (left_out, learned), confidence)


def _replay(
    manifest: Manifest,
    bundle: Path,
    rows: Sequence[Mapping[str, Any]],
    impressions: Sequence[Impression],
    known: tuple[dict[str, int], bool],
    confidence: float,
) -> Replay:
    """Return what a bundle earns on these lists. known: requests left out, and whether it may have learned from their clicks."""
    left_out, learned = known
    answers = predict_in_subprocess(bundle, rows).answers if rows else []
    lists = [list(answer.value) for answer in answers]
    came = sum(len(one.clicked.intersection(one.items)) for one in impressions)
    found, more = estimate(impressions, lists, confidence), gain(impressions, lists, confidence)
    if learned:
        found = found and replace(found, ips=replace(found.ips, exact=False))
        more = more and replace(more, exact=False)
    served = round(came / max(len(rows), 1), 6)
    return Replay(manifest.name, manifest.version, confidence, left_out, learned, served, found, more)


def _unlearned(
    rows: list[LoggedPrediction], manifest: Manifest, left_out: dict[str, int]
) -> tuple[list[LoggedPrediction], bool]:
    """Return the requests that came after the bundle had learned from the journal; all of them, and True, where none did.

    The bounds need lists that do not depend on the clicks that judge them: a model fitted to clicks agrees with their luck.
    """
    until = manifest.data.get(LEARNED_UNTIL)
    if until is None:
        return rows, False
    later = [row for row in rows if row.at > float(until)]
    if not later:
        return rows, bool(rows)
    if len(later) < len(rows):
        left_out["learned"] = len(rows) - len(later)
    return later, False


def replay_facts(served: ServedProduct, bundle: Path) -> dict[str, Any]:
    """Return what a challenger would have earned, under `replay`; {} for tasks without lists, and where none was drawn by a logged rule."""
    if not served.task.takes_exploration or not (bundle / "manifest.json").is_file():
        return {}
    from rung.journal.reader import JournalReader

    manifest = read_manifest(bundle)
    journal = JournalReader.from_journal(served.journal, manifest.schema.inputs)
    found = replayed(journal, bundle, manifest, served.product.confidence)
    return {"replay": found.as_dict()} if found.estimated is not None else {}


def _explored(journal: JournalReader, name: str) -> tuple[list[LoggedPrediction], dict[str, int]]:
    """Return the latest requests whose list has propensities, in the order in which they came, and how many others there are."""
    from rung.journal.taken_items import listed_items

    rows: list[LoggedPrediction] = []
    left_out = {"without_propensity": 0, "without_input": 0, "older": 0}
    for portion in journal.predictions(name):
        for row in portion:
            if row.input is None:
                left_out["without_input"] += 1
            elif not (items := listed_items(row.output)) or "propensity" not in items[0]:
                left_out["without_propensity"] += 1
            else:
                rows.append(row)
        if len(rows) > 2 * _MOST:
            left_out["older"] += len(rows) - _MOST
            rows = rows[-_MOST:]
    left_out["older"] += max(len(rows) - _MOST, 0)
    return rows[-_MOST:], {key: n for key, n in left_out.items() if n}


def _impression(row: LoggedPrediction, clicked: frozenset[str]) -> Impression:
    from rung.journal.taken_items import listed_items

    items = listed_items(row.output)
    return Impression(
        tuple(str(item["item"]) for item in items),
        tuple(float(item["propensity"]) for item in items),
        clicked,
    )
