"""Decide which labelled rows may certify when people and models choose what is labelled.

Why that is valid
-----------------
Rows that somebody chose (the most uncertain ones, the centres of clusters, those a person could be bothered with) are
no sample: a model that is right on nine tenths of them may be right on half of the others. So no chosen row ever
certifies. Every unit (a text, or a group) has a place on a line of hashes from 0 to 1, fixed by its content alone, and
before anything is labelled the line is cut into three zones, frozen in certificate.lock:

    0 ........ first ..... 2 first ........ audit ........... random ........................ 1
    |  asked about in the order of the line, |  in the order    |  chosen: clusters first, then
    |  blind; certifies, never trains         |  of the line     |  what is most useful; trains
                                              |  too; trains
                                              |  and scores

*A census of an interval.* Rows certify only when every unit below a border (first, or first doubled) is decided. What
certifies is then all units of the data whose hash falls below the border: which they are depends on their content's
hash and nothing else: not on labels, models, the queue, who labelled, what was imported, or in which order. That is
the same set that a file with all its labels would certify on; the argument in `building.certify` holds as it stands.
A row that was put off (skipped, or disagreed about) keeps its interval from being whole, so hard rows cannot be left out.

*When to stop.* People see the audit rows' texts, though no model's answer to them. Somebody might stop when easy rows
have come. They can stop at borders only, and each border passed over is paid for like a look that failed
(`pass_over`): a union bound over the borders at which one could have stopped.

*Rows that cannot be told.* Whoever labels may say that no label fits. Such rows are left out on both sides, so the
certificate speaks of rows that can be told, says so, and says how many of the interval could not. Audit rows are shown
without a suggestion: neither a label nor "cannot be told" can follow the model's answer.

*Random rows that train* are an interval too, asked about in its order: the score on them (held out) is that of
different rows drawn at random. It is what decides whether a rung is worth a look, what the learning curve shows and
what says when to stop. Certification rows have no say in any of it.

What remains an assumption: people label what they see, and do not tune a model by what they saw there.
`tests/data/test_audit_simulation.py` attacks all this, and shows what queue picks that certify would claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rung.core.certificate_lock import CertificateLock, pack_units
from rung.core.errors import RunError
from rung.core.spec.product import Product

AUDIT, RANDOM, CHOSEN = 0, 1, 2
ZONES = ("audit", "random", "chosen")
_LINE = 2.0**64
# Enough random rows for any score, labelled or not: beyond, they would only be kept from being chosen.
_MOST_AUDIT, _MOST_RANDOM, _RANDOM_SHARE = 1_600, 2_000, 0.3
_LEAST_FIRST, _MOST_FIRST = 50, 400

Units = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Zones:
    """Borders on the line of hashes, in [0, 1]: first <= audit <= random. No zone at all: audit 0."""

    first: float
    audit: float
    random: float

    def of(self, units: Units) -> npt.NDArray[np.int8]:
        """Return the zone of each unit: AUDIT, RANDOM or CHOSEN."""
        place = units.astype(np.float64)
        zone = np.full(len(units), CHOSEN, np.int8)
        zone[place < self.random * _LINE] = RANDOM
        zone[place < self.audit * _LINE] = AUDIT
        return zone

    def borders(self) -> list[float]:
        """Return where an audit may end: first, doubled again and again, and the end of the zone."""
        found = []
        border = self.first
        while 0 < border < self.audit * 0.999:
            found.append(border)
            border *= 2
        return [*found, self.audit] if self.audit > 0 else []

    def inclusion(self, zone: int) -> float | None:
        """Return the probability with which a random row was to fall into its zone; None for chosen ones."""
        return None if zone == CHOSEN else round(self.audit if zone == AUDIT else self.random - self.audit, 6)


@dataclass(frozen=True)
class Census:
    """How far an audit has come. border: what certifies lies below; 0: nothing does yet. done, wanted: decided units, and
    all units, below the next border. passed_over: the borders below `border`."""

    border: float
    done: int
    wanted: int
    passed_over: tuple[float, ...]


def census(units: Units, undecided: Units, zones: Zones) -> Census:
    """Return which interval is whole. units: all of the data; undecided: those of them with a row nobody has decided."""
    place = np.sort(np.unique(units).astype(np.float64))
    open_ = np.sort(np.unique(undecided).astype(np.float64))
    below = [int(np.searchsorted(place, border * _LINE)) for border in zones.borders()]
    missing = [int(np.searchsorted(open_, border * _LINE)) for border in zones.borders()]
    whole = [n for n, count in enumerate(below) if count and not missing[n]]
    last = max(whole, default=-1)
    passed = tuple(zones.borders()[n] for n in range(last) if 0 < below[n] < below[last])
    following = min(last + 1, len(below) - 1)
    done, wanted = (below[following] - missing[following], below[following]) if below else (0, 0)
    return Census(zones.borders()[last] if last >= 0 else 0.0, done, wanted, passed)


def plan_zones(product: Product, lock: CertificateLock, units: int, wanted: int) -> Zones:
    """Return the zones of a product, frozen in certificate.lock at the first call. units: different ones in the data;
    wanted: audit rows of the first interval.

    Raises RunError for a split by time, which has no random rows.
    """
    labelling, data = product.labelling, product.data
    if labelling is None:
        raise ValueError("the product has no labelling section")
    if data.time:
        raise RunError(
            "`data.time` certifies on the latest rows, and `rung label` asks about random ones",
            "data.time",
            "Leave out `time`, or label a file of the latest rows and pass it as `certify: {path: ...}`.",
        )
    key = f"{data.identity} -> {data.target}"
    some = max(units, 1)
    asked = product.certify.fraction
    if product.certify.path or asked == 0.0 or lock.rule(f"{key}: all rows train") is not None:
        share = 0.0
    else:
        rule = {"by": "hash", "group": data.group, "input": None if data.group else [*data.input]}
        wish = asked if asked is not None else min(labelling.audit_share, _MOST_AUDIT / some)
        share = float(lock.freeze(key, rule | {"fraction": round(wish, 6)})["fraction"])
    first = min(wanted / some, share)
    random = min(
        share + min(max(labelling.random_share, _RANDOM_SHARE), _MOST_RANDOM / some) * (1 - share), 1.0
    )
    frozen = lock.freeze(f"{key}: labels", {"first": round(first, 9), "random": round(random, 9)})
    return Zones(min(frozen["first"], share), share, max(frozen["random"], share))


def first_audit(level: float, higher_is_better: bool, confidence: float) -> int:
    """Return how many audit rows to label first: enough to prove the bar when a model errs half as often as it allows.

    Normal approximation of a proportion's bound, between 50 and 400; other metrics get 100.
    """
    if not (higher_is_better and 0.0 < level < 1.0):
        return 100
    from statistics import NormalDist

    likely = (1 + level) / 2
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    needed = level * (1 - level) * (z / (likely - level)) ** 2
    return int(min(max(needed, _LEAST_FIRST), _MOST_FIRST))


def zones_for(product: Product, lock: CertificateLock, units: int) -> Zones:
    """Return the zones with the first interval that the spec asks for, or that its bar does."""
    if product.labelling is None:
        raise ValueError("the product has no labelling section")
    bar = product.bar[0]
    wanted = product.labelling.audit_rows or first_audit(bar.level, bar.higher_is_better, bar.confidence)
    return plan_zones(product, lock, units, wanted)


def pass_over(lock: CertificateLock, found: Census, certifying: Sequence[str], confidence: float) -> None:
    """Write each border that could have been certified at, and was not, into certificate.lock as a look that failed.

    certifying: units that certify, 16 hex digits each. A border that was looked at is in the lock already.
    """
    for border in found.passed_over:
        below = [unit for unit in certifying if int(unit, 16) < border * _LINE]
        packed = pack_units(below)
        if not below or any(look["units"] == packed for look in lock.earlier(below)):
            continue
        what = {"bundle": "none", "bar": [], "content": "audit rows that were passed over"}
        record, _ = lock.take(
            below, what, lambda before: (1 - confidence) * 2.0 ** -min(len(before) + 1, 1_000)
        )
        lock.settle(record["id"], "failed", [], 1)


def store_path(product: Product, base: Path) -> Path | None:
    """Return where the labels of a product are kept; None when its spec does not ask for any."""
    return base / product.labelling.store if product.labelling else None
