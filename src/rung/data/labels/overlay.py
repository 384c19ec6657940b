"""Apply human labels to the rows of a source while it is read."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.certificate_lock import CertificateLock
from rung.core.spec.product import Product
from rung.data.labels.audit_sample import RANDOM, Census, Zones, census, pass_over, store_path, zones_for
from rung.data.labels.consensus import CANNOT, Verdict, digest, verdicts
from rung.data.labels.store import LabelStore
from rung.data.prepare.keys import CERTIFICATION, TRAIN, Keys
from rung.data.prepare.split import SplitSides

NOT_AUDITED = -7


class Overlay:
    """The labels of a product as `RowIngestor` asks for them, and what they allow to certify once all rows were read."""

    def __init__(self, product: Product, found: Mapping[str, Verdict]) -> None:
        self._product = product
        self._found = found
        self._units, self._open = array("Q"), array("Q")
        self._cannot, self._unasked = array("Q"), array("Q")
        self.hash = digest(dict(found))

    def target(self, text: int, unit: int, target: Any) -> tuple[Any, str]:
        """Return the target of a row, and why it has none: "reason: detail", or "".

        text, unit: hashes of its folded text and of its unit. target: what stands in the file, if anything. A label of
        people's wins over the file's.
        """
        verdict = self._found.get(f"{text:016x}")
        self._units.append(unit)
        if verdict is not None and verdict.answer == CANNOT:
            self._cannot.append(unit)
            return None, "cannot_be_told: whoever labelled it said that no label fits"
        if verdict is not None and verdict.answer is not None:
            return verdict.answer, ""
        if target is not None and (verdict is None or not verdict.disagree):
            return target, ""
        self._open.append(unit)
        if verdict is None:
            self._unasked.append(unit)
        elif verdict.disagree:
            return None, "labels_disagree: two people gave it different labels: `rung label` shows such rows"
        return None, "not_labelled: no label yet: `rung label` asks for it"

    def zones(self, lock: CertificateLock) -> Zones:
        """Return the zones of the data read so far."""
        return zones_for(self._product, lock, len(np.unique(_array(self._units))))

    def finish(
        self, sides: SplitSides, keys: Keys, lock: CertificateLock
    ) -> tuple[SplitSides, dict[str, Any]]:
        """Return the sides without certification rows beyond the audited interval, and facts about the audit.

        Called once, when all rows were read. Writes borders that were passed over into the lock: see `data.labels.audit_sample`.
        """
        zones = self.zones(lock)
        units, undecided = _array(self._units), _array(self._open)
        audit: Census = census(units, undecided, zones)
        side = sides.side.copy()
        if zones.audit > 0:
            side[(side == CERTIFICATION) & ~(keys.unit.astype(np.float64) < audit.border * 2.0**64)] = (
                NOT_AUDITED
            )
        certifying = [f"{unit:016x}" for unit in np.unique(keys.unit[side == CERTIFICATION]).tolist()]
        if certifying:
            pass_over(lock, audit, certifying, self._product.confidence)
        # Random rows are asked about in the order of the line. Beyond the first that nobody was asked about, some may have
        # had a label in the file: which ones is no chance.
        unasked = _array(self._unasked)
        unasked = unasked[zones.of(unasked) == RANDOM]
        asked = keys.unit < (unasked.min() if len(unasked) else np.uint64(2**64 - 1))
        random = np.unique(keys.unit[(side == TRAIN) & (zones.of(keys.unit) == RANDOM) & asked])
        cannot = np.unique(_array(self._cannot))
        facts = {
            "labelled": int(((side == TRAIN) | (side == CERTIFICATION)).sum()),
            "certified_border": audit.border,
            "done": audit.done,
            "wanted": audit.wanted,
            "cannot_be_told": int((cannot.astype(np.float64) < audit.border * 2.0**64).sum()),
            "random_units": [f"{unit:016x}" for unit in random.tolist()],
        }
        return replace(sides, side=side, trained=np.unique(keys.unit[side == TRAIN])), facts


def open_overlay(product: Product, base: Path) -> Overlay | None:
    """Return the labels that people gave for a product; None when its spec asks for none or nobody has labelled yet."""
    path = store_path(product, base)
    if path is None or not path.is_file():
        return None
    with LabelStore(path) as store:
        return Overlay(product, verdicts(store.entries()))


def _array(values: array[int]) -> Any:
    return np.frombuffer(values, dtype="u8") if len(values) else np.zeros(0, "u8")
