"""Which served rows certify: rounds of a random audit, formed before anybody looks at a row.

Why a round is a fair sample
----------------------------
A text (or row of a table) that is served belongs to the audit or not by a keyed hash of its content: HMAC with the
journal's own random key, which no caller knows. So nobody can send rows into it or keep them out of it, neither model nor
people have a say, and a text that comes a thousand times is audited or not as one. What is in the audit never trains,
however often it is corrected. The claim is about different texts, as for every certificate.

Audited texts are numbered in the order in which they first came. Round r is the next so many of them, and is written into
`audit_rounds.jsonl` when it is full, before it counts: which rows it has goes by hash and time of arrival alone.
A round counts when *every* row of it is decided; what is put off comes back, so hard rows cannot be left out.
Rounds count from the oldest unused one on, without gaps: one that looks hard cannot be passed by.

*When to stop.* People see the texts (no model's answer to them) and could stop when rounds were easy. Rounds are used in
ones, twos, fours: each such stop that was passed over is paid for like a look that failed (`data.audit` does the same).

*Rows that cannot be told*, and rows whose input was erased or has expired by the time of the look, are left out and
counted. `rung improve` says how many.

Corrections and queue picks are chosen rows: they never get here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rung.core.certificate_lock import CertificateLock, pack_units
from rung.core.errors import RungError
from rung.core.files import writing

FILE_NAME = "audit_rounds.jsonl"


@dataclass(frozen=True)
class AuditRound:
    """predictions, units: of its rows, in the order they came. at: when the first and the last came."""

    number: int
    product: str
    predictions: tuple[str, ...]
    units: tuple[str, ...]
    since: float
    until: float


def is_audited(salt: bytes, unit: str, share: float) -> bool:
    """Return whether a unit (16 hex digits) belongs to the audit. salt: the journal's."""
    digest = hmac.digest(salt, b"audit:" + unit.encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") < share * 2.0**64


def read_rounds(folder: Path, product: str) -> list[AuditRound]:
    """Return the rounds of a product, the oldest first; raises RungError for a line that cannot be read."""
    path = folder / FILE_NAME
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            raw = json.loads(line)
            item = AuditRound(
                **raw | {"predictions": tuple(raw["predictions"]), "units": tuple(raw["units"])}
            )
        except (ValueError, TypeError, KeyError):
            fix = "Put back a copy: without it nobody knows which rows were drawn."
            raise RungError("this line cannot be read", f"{path.name}, line {number}", fix) from None
        if item.product == product:
            found.append(item)
    return found


def form_rounds(
    folder: Path, product: str, arrived: Sequence[tuple[str, str, float]], size: int
) -> tuple[list[AuditRound], list[str]]:
    """Return all rounds, new ones written down first, and the predictions that wait for the next one to fill.

    arrived: (prediction, unit, time) of audited rows in the order they came, each unit once, those of earlier rounds
    perhaps among them.
    """
    known = read_rounds(folder, product)
    taken = {unit for one in known for unit in one.units}
    waiting = [row for row in arrived if row[1] not in taken]
    while len(waiting) >= size:
        rows, waiting = waiting[:size], waiting[size:]
        predictions, units, times = zip(*rows, strict=True)
        known.append(AuditRound(len(known) + 1, product, predictions, units, times[0], times[-1]))
        _append_round(folder, known[-1])
    return known, [prediction for prediction, _, _ in waiting]


def usable_rounds(
    rounds: Sequence[AuditRound], decided: Iterable[str], lock: CertificateLock
) -> list[AuditRound]:
    """Return the rounds that may certify now: unused, whole, without gaps, and 1, 2, 4, ... of them; [] when there are none.

    decided: predictions that people have decided, or that nobody can any more.
    """
    unused = unused_rounds(rounds, lock)
    done = set(decided)
    whole = 0
    while whole < len(unused) and done.issuperset(unused[whole].predictions):
        whole += 1
    return unused[: 1 << (whole.bit_length() - 1)] if whole else []


def unused_rounds(rounds: Sequence[AuditRound], lock: CertificateLock) -> list[AuditRound]:
    """Return the rounds at which no certificate and no check has looked."""
    return [one for one in rounds if not lock.earlier(one.units)]


def charge_optional_stopping(rounds: Sequence[AuditRound], lock: CertificateLock, confidence: float) -> None:
    """Write each smaller number of rounds at which one could have stopped into the lock as a look that failed."""
    stop = 1
    while stop < len(rounds):
        units = [unit for one in rounds[:stop] for unit in one.units]
        what = {"bundle": "none", "bar": [], "content": "audit rounds that were passed over"}
        packed = pack_units(units)
        if not any(look["units"] == packed for look in lock.looks()):
            record, _ = lock.take(
                units, what, lambda before: (1 - confidence) * 2.0 ** -min(len(before) + 1, 1_000)
            )
            lock.settle(record["id"], "failed", [], 1)
        stop *= 2


def _append_round(folder: Path, one: AuditRound) -> None:
    data = (json.dumps(asdict(one)) + "\n").encode()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / FILE_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
