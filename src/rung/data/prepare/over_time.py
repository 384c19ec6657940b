"""Split units that have rows over time: the earlier rows of each train, its later ones certify.

Units are groups (customers, devices, series) with `certify: {groups: same}`, or the blocks of a single series.
`building.certify` says why a bound over such units holds, and what must be true of the split for that: which rows
train, and which rows of a unit certify, must not depend on the certification rows of another unit.

- Rows before the cut-off train, rows from it on certify. A row that covers a span of time, as a window does, must lie
  on one side as a whole; one that does not is left out.
- A certification row that repeats an earlier row is left out. (Where groups stay whole the training copy goes. Here
  that would make the model depend on what other groups ask later.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError
from rung.core.spec.product import Product
from rung.data.prepare.hash_ranges import distinct
from rung.data.prepare.hashing import hash64
from rung.data.prepare.keys import (
    CERTIFICATION,
    CROSSES_CUTOFF,
    REPEATS_EARLIER,
    TRAIN,
    TRAINED,
    Keys,
    drop_contradictions,
    drop_repeats,
)

Hashes = npt.NDArray[np.uint64]
# A bootstrap over fewer blocks than these says next to nothing.
FEWEST_BLOCKS = 20
# Tells groups that trained with their earlier rows alone from groups that trained as a whole.
_EARLIER = np.uint64(0x9E3779B97F4A7C15)


def is_over_time(rule: Mapping[str, Any]) -> bool:
    """Return whether a rule lets a unit have earlier rows that train and later ones that certify."""
    return rule["by"] == "time" and (rule.get("groups") == "same" or rule.get("units") == "blocks")


def over_time(
    keys: Keys, product: Product, known: Mapping[str, Any] | None, blocks: dict[str, Any]
) -> dict[str, Any]:
    """Return what a rule by time says of groups and blocks; {} where neither has rows on both sides.

    known: the rule in certificate.lock, which stands. One of version 0.1 says nothing of groups: only new ones certify.
    Raises DataError when the spec speaks of groups over time and the data has no such.
    """
    asked, data = product.certify.groups, product.data
    grouped = data.group is not None or keys.grouped
    if asked and not (grouped and data.time):
        missing = "data.time" if grouped else "data.group"
        fix = f"Name the column in `{missing}`, or leave the key out."
        raise DataError(
            f"`groups: {asked}` speaks of groups over time, and `{missing}` is not set", "certify", fix
        )
    if blocks or not (grouped and data.time):
        return blocks
    return {"groups": "same"} if (asked or (known or {"groups": "same"}).get("groups")) == "same" else {}


def blocks_of_one_series(keys: Keys, product: Product, unit: str) -> dict[str, Any]:
    """Return that units are blocks, and how long one is, where the whole data is a single series; else {}.

    That is so when the task's unit is a series, or rows cover spans of time that may overlap, and nothing tells
    groups apart. A block is as long as the longest span; where rows cover none, as long as the time that the cube
    root of the rows takes on average (Kuensch 1989). Raises DataError where such data cannot certify.
    """
    if product.data.group or keys.grouped or not (unit == "series" or keys.start is not None):
        return {}
    told = "Name the column that tells series apart in `data.group`, "
    if product.certify.path:
        fix = f"{told}or leave `certify.path` out: the latest rows of the series certify then."
        raise DataError("rows of a single series are not independent of each other", "certify.path", fix)
    if not product.data.time:
        fix = f"{told}or the column of times in `data.time`."
        raise DataError("windows of a single series certify by time, and no time is named", "data.time", fix)
    n, begin = max(len(keys.when), 1), keys.when if keys.start is None else keys.start
    longest = float((keys.when - begin).max(initial=0.0))
    whole = float(np.ptp(keys.when)) if len(keys.when) else 0.0
    return {"units": "blocks", "block": longest or whole * n ** (-2 / 3) or 1.0}


def split_over_time(
    keys: Keys, rule: Mapping[str, Any], lock: CertificateLock, repeats_are_copies: bool
) -> npt.NDArray[np.int8]:
    """Return the side of each row under a rule that `is_over_time`. repeats_are_copies: see `Task`."""
    begin = keys.when if keys.start is None else keys.start
    certifies, trains = begin >= rule["cutoff"], keys.when < rule["cutoff"]
    side: npt.NDArray[np.int8] = certifies.astype(np.int8)
    side[~certifies & ~trains] = CROSSES_CUTOFF
    trained = lock.trained()
    side[certifies & (np.isin(_moments(keys), trained) | np.isin(keys.unit, trained))] = TRAINED
    if repeats_are_copies:
        side[(side == CERTIFICATION) & np.isin(keys.text_hash, keys.text_hash[trains])] = REPEATS_EARLIER
        drop_repeats(side, _mixed(keys.text_hash, keys.unit), CERTIFICATION)
        drop_contradictions(side, keys)
        drop_repeats(side, keys.text_hash, TRAIN)
    return side


def trained_hashes(keys: Keys, side: npt.NDArray[np.int8], rule: Mapping[str, Any]) -> Hashes:
    """Return what certificate.lock remembers of rows that train, so that they never certify: their units.

    Over time a unit that trains may certify with later rows, so each row is remembered, and of the unit that its
    earlier rows trained: under a rule that wants new groups it is none (`early_groups`).
    """
    trains = side == TRAIN
    if not is_over_time(rule):
        return distinct(keys.unit, trains)
    return np.unique(np.concatenate([_moments(keys)[trains], early_groups(keys.unit[trains])]))


def early_groups(unit: Hashes) -> Hashes:
    """Return what `trained_hashes` remembers of units whose earlier rows trained."""
    return unit ^ _EARLIER


def resampling_units(keys: Keys, rule: Mapping[str, Any], source: str) -> Hashes:
    """Return the unit that each row counts to in bounds: its own, or the block of a single series.

    source: names the data, so that blocks of two products are different units in certificate.lock.
    """
    if rule.get("units") != "blocks":
        return keys.unit
    number = np.floor((keys.when - rule.get("cutoff", 0.0)) / rule["block"])
    numbers, member = np.unique(number, return_inverse=True)
    hashes = np.array([hash64(f"{source}: block {k:.0f}") for k in numbers.tolist()], np.uint64)
    # Rows that `rung improve` adds have no time; each is a unit of its own.
    return np.where(keys.own, keys.unit, hashes[member])


def require_blocks(units: Hashes, rule: Mapping[str, Any], where: str) -> None:
    """Raise DataError when a single series has too few blocks that certify. units: of the rows that do."""
    found = len(np.unique(units))
    if rule["by"] != "time" or rule.get("units") != "blocks" or found >= FEWEST_BLOCKS:
        return
    raise DataError(
        f"the rows are one series, and its last stretch holds {found} windows that do not overlap: a bound takes {FEWEST_BLOCKS}",
        where,
        "Use a longer series, name the column that tells series apart in `data.group`, or ask for no certificate: "
        "`certify: {fraction: 0}`.",
    )


def _moments(keys: Keys) -> Hashes:
    """Return a hash of each row's text, unit and time."""
    return _mixed(
        _mixed(keys.text_hash, keys.unit), np.ascontiguousarray(keys.when, np.float64).view(np.uint64)
    )


def _mixed(one: Hashes, other: Hashes) -> Hashes:
    """Return a hash of each pair of hashes (the finalizer of splitmix64, Steele et al. 2014)."""
    mixed: Hashes = one * np.uint64(0xD1342543DE82EF95) + (other ^ _shifted(other, 32)) * _EARLIER
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ _shifted(mixed, shift)) * np.uint64(factor)
    return mixed ^ _shifted(mixed, 31)


def _shifted(hashes: Hashes, bits: int) -> Hashes:
    return np.asarray(np.right_shift(hashes, np.uint64(bits)), np.uint64)
