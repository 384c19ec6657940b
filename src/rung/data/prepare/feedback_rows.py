"""Add accepted feedback and audited rows to a build; former certification rows are held for the paired test.

No row changes its side. Feedback whose text certifies, certified once, or would certify if it stood in the product's data,
does not train; where a text stands in the data already, the data has the word. The old certification rows go to a table of
their own, `held`: they serve the paired check of champion and challenger and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import BlobStore
from rung.core.certificate_lock import CertificateLock
from rung.core.spec.product import Product
from rung.data.prepare.ingest import RowIngestor
from rung.data.prepare.keys import (
    CERTIFICATION,
    CERTIFIES_LATER,
    DUPLICATE,
    HELD,
    IN_CERTIFICATION,
    TRAIN,
    TRAINED,
    Keys,
)
from rung.data.prepare.over_time import trained_hashes
from rung.data.prepare.split import SplitSides
from rung.data.sources.read import Source, open_source, read_rows

# What the split is called in facts and report.
RULE = {"by": "audit"}


@dataclass(frozen=True)
class FeedbackRange:
    """Staged rows by origin: the product's own stand below `base`, accepted feedback below `feedback`, then audited ones.

    files: (name, rows) of the files that were read, whether their rows could be used or not.
    """

    base: int
    feedback: int
    files: tuple[tuple[str, int], ...] = ()


def feedback_sources(product: Product, base: Path) -> list[Source]:
    """Return accepted feedback and audited rows as sources; [] where the product joins none. A file without rows has none."""
    if product.joined is None:
        return []
    paths = [base / product.joined.feedback, base / product.joined.audit]
    return [open_source(str(path)) for path in paths]


def stage(product: Product, base: Path, intake: RowIngestor, store: BlobStore) -> FeedbackRange:
    """Stage the joined rows after the product's own. Neither corrections nor labels of `rung label` speak of them."""
    counts, files = [intake.staged], []
    for source in feedback_sources(product, base):
        before = intake.rows
        for row in read_rows(source):
            intake.add(row, True, source.place(store, base))
        counts.append(intake.staged)
        files.append((source.name, intake.rows - before))
    return FeedbackRange(counts[0], counts[1] if len(counts) > 1 else counts[0], tuple(files))


def own_keys(keys: Keys, marks: FeedbackRange) -> Keys:
    """Return the keys of the product's own rows."""
    return keys.part(slice(0, marks.base))


def split_with_feedback(
    sides: SplitSides, keys: Keys, marks: FeedbackRange, lock: CertificateLock
) -> SplitSides:
    """Return the sides of all rows, from those of the product's own as an ordinary build decides them.

    Where nothing was joined, those are all.
    """
    if len(keys.text_hash) == marks.base:
        return sides
    own = sides.side.copy()
    own[own == CERTIFICATION] = HELD
    audit = slice(marks.feedback, None)
    side = np.concatenate([own, np.full(len(keys.text_hash) - marks.base, TRAIN, np.int8)])
    side[audit] = CERTIFICATION
    side[audit][np.isin(keys.unit[audit], lock.trained())] = TRAINED
    _drop(side, audit, np.isin(keys.text_hash[audit], keys.text_hash[: marks.base][own >= 0]), TRAINED)
    _first_only(side, keys, audit)
    feedback = slice(marks.base, marks.feedback)
    text, unit = keys.text_hash[feedback], keys.unit[feedback]
    _drop(side, feedback, np.isin(text, keys.text_hash[: marks.base]), DUPLICATE)
    if sides.rule["by"] == "hash":
        _drop(side, feedback, unit.astype(np.float64) < sides.rule["fraction"] * 2.0**64, CERTIFIES_LATER)
    guarded = np.concatenate([keys.unit[audit], lock.looked()])
    _drop(side, feedback, np.isin(unit, guarded) | np.isin(text, keys.text_hash[audit]), IN_CERTIFICATION)
    _first_only(side, keys, feedback)
    rule = RULE | ({"units": "blocks"} if sides.rule.get("units") == "blocks" else {})
    return replace(sides, side=side, rule=rule, trained=trained_hashes(keys, side, sides.rule))


def feedback_facts(product: Product, side: npt.NDArray[np.int8], marks: FeedbackRange) -> dict[str, Any]:
    """Return how many rows of feedback train and how many are held; {} where the product joins none."""
    if product.joined is None:
        return {}
    learned = int((side[marks.base : marks.feedback] == TRAIN).sum())
    return {"joined": {"feedback": learned, "held": int((side == HELD).sum())}}


def certifying(side: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return the sides with held rows as such that certify: what trains must repeat neither."""
    return np.where(side == HELD, CERTIFICATION, side).astype(np.int8)


def _drop(side: npt.NDArray[np.int8], part: slice, rows: npt.NDArray[np.bool_], why: int) -> None:
    kept = side[part]
    kept[rows & (kept >= 0)] = why


def _first_only(side: npt.NDArray[np.int8], keys: Keys, part: slice) -> None:
    kept = side[part]
    places = np.flatnonzero(kept >= 0)
    _, first = np.unique(keys.text_hash[part][places], return_index=True)
    repeated = np.ones(len(places), bool)
    repeated[first] = False
    kept[places[repeated]] = DUPLICATE
