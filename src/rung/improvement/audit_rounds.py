"""Audit rounds: random samples of served rows that certify a challenger, fixed before anybody sees a row.

Why a round is a random sample
------------------------------
Whether a served text (or row of a table) belongs to the audit depends on a keyed hash of its content: HMAC
with the journal's random key, which no caller knows. Nobody can send rows into the audit or keep them out of
it, neither model nor reviewers influence it, and repeated texts count as one. Rows of the audit never train,
even if they are corrected. As for every certificate, the claim is about distinct texts.

Audited texts are numbered in the order of their first arrival. A round consists of the next `size` of them
and is written to `audit_rounds.jsonl` when it is full, before it is used, so its rows depend on hash and time
of arrival only. A round is usable when *every* row of it is decided. Skipped rows are shown again, so hard
rows cannot be left out. Rounds are used from the oldest unused one on, without gaps, so a hard round cannot
be left out.

*Optional stopping.* Reviewers see the texts, without a model's answer, and could stop after easy rounds.
Rounds are used in numbers of 1, 2, 4, ...: each smaller number at which one could have stopped is charged as
a failed look (`data.labels.audit_sample` does the same).

*Rows that nobody can label*, and rows whose input was erased or has expired by the time of the look, are left
out and counted; `rung improve` reports their number.

Corrections and rows chosen by a query strategy are selected rows: they are never part of the audit.
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
    """predictions, units: of its rows, in the order of arrival.

    since, until: times of the first and the last arrival.
    """

    number: int
    product: str
    predictions: tuple[str, ...]
    units: tuple[str, ...]
    since: float
    until: float


def is_audited(salt: bytes, unit: str, share: float) -> bool:
    """Return whether a unit (16 hex digits) belongs to the audit. salt: of the journal."""
    digest = hmac.digest(salt, b"audit:" + unit.encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big") < share * 2.0**64


def read_rounds(folder: Path, product: str) -> list[AuditRound]:
    """Return the rounds of a product, oldest first; raises RungError for a line that cannot be read."""
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
            fix = "Restore a backup: without the file it is unknown which rows were drawn."
            raise RungError("this line cannot be read", f"{path.name}, line {number}", fix) from None
        if item.product == product:
            found.append(item)
    return found


def form_rounds(
    folder: Path, product: str, arrived: Sequence[tuple[str, str, float]], size: int
) -> tuple[list[AuditRound], list[str]]:
    """Write new full rounds; return all rounds, and the predictions that wait for the next round to fill.

    arrived: (prediction, unit, time) of audited rows, in the order of arrival, each unit once. Rows of
    earlier rounds may be among them.
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
    """Return the rounds that may certify now: the 1, 2, 4, ...

    oldest unused ones that are decided; [] if there are none.

    decided: predictions that reviewers have decided, or whose input can no longer be read.
    """
    unused = unused_rounds(rounds, lock)
    done = set(decided)
    whole = 0
    while whole < len(unused) and done.issuperset(unused[whole].predictions):
        whole += 1
    return unused[: 1 << (whole.bit_length() - 1)] if whole else []


def unused_rounds(rounds: Sequence[AuditRound], lock: CertificateLock) -> list[AuditRound]:
    """Return the rounds that no certificate and no paired test has used."""
    return [one for one in rounds if not lock.earlier(one.units)]


def charge_optional_stopping(rounds: Sequence[AuditRound], lock: CertificateLock, confidence: float) -> None:
    """Record each smaller number of rounds at which one could have stopped as a failed look in the lock."""
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
