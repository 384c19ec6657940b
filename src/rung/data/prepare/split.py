"""Decide on which side each row stands: training, certification, or quarantine.

A keyed hash of the unit decides, never the label, so that a row keeps its side when data is added. The rule
(share, cut-off, column) is frozen in certificate.lock at the first build: rows whose scores a person has
read must not certify later. Where groups have rows over time, see `over_time.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError, RunError
from rung.core.spec.product import Product
from rung.data.prepare.hash_ranges import counts_of, distinct, listed_in, shared_with
from rung.data.prepare.keys import (
    CERTIFICATION,
    REPEATS_EARLIER,
    TRAIN,
    Keys,
    drop_contradictions,
    drop_repeats,
)
from rung.data.prepare.over_time import (
    blocks_of_one_series,
    early_groups,
    is_over_time,
    over_time,
    split_over_time,
    trained_hashes,
)

_REASONS = {
    -1: "duplicate: the same input stands in an earlier row",
    -2: "contradictory_labels: the same input stands under two labels",
    -3: "also_in_certification: the same text certifies, so this copy must not train",
    -7: "not_audited: random rows certify together, and some of its interval are not labelled yet",
    -5: "trained_before: an earlier build trained on this text, so its score may have been read",
    -6: "near_duplicate: nearly the same text certifies, so this copy must not train",
    -4: "group_spans_cutoff: other rows of its group certify, so this one must not train",
    -10: "certification_side: by its hash this text certifies if it ever stands in the data, so feedback on it must not train",
    -9: "empty_input: nothing is left once its cells are read",
    -8: "bad_value: a cell is not the number or date that its column holds",
    -11: "repeats_earlier: an earlier row asks the same or nearly the same, so this one would test memory alone",
    -12: "crosses_cutoff: it depends on moments before the cut-off and on later ones",
}


@dataclass(frozen=True)
class SplitSides:
    """side: 0 trains, 1 certifies, negative is left out. rule: how it was decided, for the report.

    frozen: what certificate.lock will hold, by key, once the data is found good (`freeze`). trained: hashes of what
    trains (`trained_hashes`).
    """

    side: npt.NDArray[np.int8]
    rule: dict[str, Any]
    frozen: dict[str, dict[str, Any]]
    trained: npt.NDArray[np.uint64]

    @property
    def is_over_time(self) -> bool:
        """Return whether units have rows on both sides, earlier ones and later ones."""
        return is_over_time(self.rule)

    def without(self, rows: npt.NDArray[np.int64], keys: Keys) -> SplitSides:
        """Return the sides with these rows left out as near duplicates; no row changes to the other side.

        rows: training rows; over time, certification rows (`over_time.py` says why).
        """
        side = self.side.copy()
        if self.is_over_time:
            side[rows[side[rows] == CERTIFICATION]] = REPEATS_EARLIER
        else:
            side[rows[side[rows] == TRAIN]] = -6
        return replace(self, side=side, trained=trained_hashes(keys, side, self.rule))

    def copies(self, keys: Keys) -> npt.NDArray[np.int64]:
        """Return how often the source has each staged row's text among the rows that train or repeat one that does."""
        ours = (self.side == TRAIN) | (self.side == -1)
        counts = counts_of(keys.text_hash, ours)
        return np.maximum(counts, 1, out=counts)

    def reason(self, index: int) -> str:
        """Return why a row is left out, as "reason: detail"."""
        return _REASONS[int(self.side[index])]


def decide(
    keys: Keys,
    product: Product,
    base: Path,
    lock: CertificateLock,
    repeats_are_copies: bool = True,
    unit: str = "row",
) -> SplitSides:
    """Return the side of each row, the same for a row in every later build of this product.

    repeats_are_copies, unit: see `Task`. Rows that only happen to agree all train; of those that certify each unit has
    one, whatever its target, so that bounds stay exact.
    """
    rule, frozen = _rule(keys, product, lock, unit)
    if is_over_time(rule):
        side = split_over_time(keys, rule, lock, repeats_are_copies and unit != "series")
        return SplitSides(side, rule, frozen, trained_hashes(keys, side, rule))
    if rule["by"] == "file":
        certifies = keys.own
    elif rule["by"] == "time":
        certifies = keys.when >= rule["cutoff"]
    else:
        certifies = keys.unit.astype(np.float64) < rule["fraction"] * 2.0**64
    # Whatever the file is called now, what an earlier build trained on never certifies.
    trained = lock.trained()
    seen = listed_in(keys.unit, trained) | listed_in(keys.unit, early_groups(trained))
    if rule["by"] != "file":
        certifies = certifies & ~seen
    side = certifies.astype(np.int8)
    # The training copy of a unit on both sides goes: it would tell the model the answer.
    spans = ~certifies & shared_with(keys.unit, certifies)
    side[spans] = -4 if product.data.group else -3
    side[(side == TRAIN) & shared_with(keys.text_hash, certifies)] = -3
    side[certifies & seen] = -5
    # Certification rows keep the first copy whatever its label: only label-free steps may touch them.
    drop_repeats(side, keys.text_hash, CERTIFICATION)
    if repeats_are_copies:
        drop_contradictions(side, keys)
        drop_repeats(side, keys.text_hash, TRAIN)
    return SplitSides(side, rule, frozen, trained_hashes(keys, side, rule))


def freeze(sides: SplitSides, lock: CertificateLock) -> None:
    """Write the rule and the units that train into certificate.lock for ever. Not before the data is found good: a first try with three
    rows must not fix the share of a million."""
    for key, rule in sides.frozen.items():
        if lock.freeze(key, rule) != rule:
            raise RunError(
                "another build of this product has just fixed another split", lock.path.name, "Build again."
            )
    lock.remember_trained(sides.trained)


def _rule(
    keys: Keys, product: Product, lock: CertificateLock, unit: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the rule, and what to freeze; raises RunError when the spec now asks for rows that choices have seen."""
    data, asked = product.data, product.certify.fraction
    key = f"{data.identity} -> {data.target}"
    all_train = f"{key}: all rows train"
    # What makes a unit. With other columns the same rows would have other hashes: they would change sides, and
    # the lock could not tell that they were looked at before.
    wish: dict[str, Any] = {"by": "hash", "group": data.group, "input": None if data.group else [*data.input]}
    # Rows are told apart by the canonical form of their cells; rules of version 0.1 have no such key.
    wish["scalars"] = 2
    blocks = blocks_of_one_series(keys, product, unit)
    if product.certify.path or asked == 0.0:
        # From now on scores of every row may be read, so none of them can certify in a later build.
        if asked == 0.0:
            rule = wish | {"fraction": 0.0}
            return rule | blocks, {all_train: lock.rule(all_train) or rule}
        rule = {"by": "file", "path": product.certify.identity}
        columns = wish | rule
        own = f"certification file {product.certify.identity}"
        _refuse_other_columns(lock.rule(own) or columns, columns, lock)
        return rule, {all_train: lock.rule(all_train) or rule, own: columns}
    known = lock.rule(key)
    times = over_time(keys, product, known, blocks)
    # Over time each unit certifies with its later rows, so more rows and not more units make it fewer.
    counted = len(keys.when) if times else len(distinct(keys.unit))
    fraction = asked if asked is not None else min(max(400 / max(counted, 1), 0.1), 0.3)
    if data.time:
        wish |= {"by": "time", "time": data.time, "cutoff": _cutoff(keys.when, fraction)} | times
    wish |= {"fraction": round(fraction, 6)}
    if lock.rule(all_train) is not None:
        raise RunError(
            "an earlier build trained on all these rows: their scores may have been read, so none can certify",
            lock.path.name,
            f"{_FRESH[0].upper()}{_FRESH[1:]}",
        )
    frozen = known or wish
    _refuse_other_columns(frozen, wish, lock)
    if blocks and "units" not in frozen:
        # The same rows certify, but they were not known to be one series.
        frozen = frozen | blocks
    if asked is not None and asked > frozen["fraction"] + 1e-9:
        raise _seen("certify.fraction", frozen["fraction"], lock)
    if asked is not None and frozen["by"] == "hash":
        # Rows that leave certification to train have their scores read as well: the smaller share stays.
        frozen = frozen | {"fraction": wish["fraction"]}
    return frozen, {key: frozen}


_FRESH = "certify on fresh rows: `certify: {path: fresh.csv}`."


def _refuse_other_columns(frozen: dict[str, Any], wish: dict[str, Any], lock: CertificateLock) -> None:
    names = {"by": "data.time", "group": "data.group", "time": "data.time", "input": "data.input"}
    names |= {"groups": "certify.groups"}
    changed = [name for name in names if frozen.get(name) != wish.get(name)]
    if changed:
        what = names[changed[0]]
        # Rules of version 0.1 have no such key: groups were new.
        was = frozen.get("groups", "new") if changed[0] == "groups" else frozen.get(what.split(".")[1])
        raise _seen(what, was, lock)


def _seen(what: str, was: Any, lock: CertificateLock) -> RunError:
    shown = ", ".join(was) if isinstance(was, list) else was or "not set"
    return RunError(
        f"`{what}` was {shown} in an earlier build: rows whose scores you may have read would certify",
        lock.path.name,
        f"Go back to the old setting, or {_FRESH}",
    )


def _cutoff(when: npt.NDArray[np.float64], fraction: float) -> float:
    cutoff = float(np.quantile(when, 1.0 - fraction, method="higher"))
    # Where very many rows have the first time, the second is the cut-off.
    cutoff = max(cutoff, float(when[when > when.min()].min(initial=math.inf)))
    if math.isinf(cutoff):
        raise DataError(
            "all rows have the same time, so none are later than others", "data.time", "Leave out `time`."
        )
    return cutoff
