"""certificate.lock: the frozen split rules and every look taken at certification rows."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import RunError
from rung.core.files import read_json, write_json

_FIX = (
    "Restore it from version control. If you delete it, looks already taken are forgotten and no certificate "
    "made afterwards can be trusted."
)


# Sources whose sketches are kept, the oldest first.
_SKETCHES = 8


@dataclass(frozen=True)
class RowSketch:
    """A sample of rows: hash of the unit, [rows], and what a similar row has in common with it, [rows, slots]."""

    rows: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.uint16]

    @staticmethod
    def empty() -> RowSketch:
        """Return the sketch of no rows."""
        return RowSketch(np.zeros(0, np.uint64), np.zeros((0, 16), np.uint16))

    def smallest(self, most: int) -> RowSketch:
        """Return the rows of the smallest first slot, at most so many: of a source spelled otherwise nearly the same."""
        kept = np.argsort(self.slots[:, 0], kind="stable")[:most]
        return RowSketch(self.rows[kept], self.slots[kept])

    def packed(self) -> dict[str, str]:
        """Return it as text: base64 of little-endian numbers."""
        rows, slots = self.rows.astype("<u8").tobytes(), self.slots.astype("<u2").tobytes()
        return {"rows": base64.b64encode(rows).decode(), "slots": base64.b64encode(slots).decode()}

    @staticmethod
    def unpacked(packed: Mapping[str, str]) -> RowSketch:
        """Return what `packed` wrote."""
        rows = np.frombuffer(base64.b64decode(packed["rows"]), "<u8").astype(np.uint64)
        slots = np.frombuffer(base64.b64decode(packed["slots"]), "<u2").astype(np.uint16)
        return RowSketch(rows, slots.reshape(len(rows), -1) if len(rows) else slots.reshape(0, 16))


class CertificateLock:
    """The lock file beside product.yaml. Keep it in version control with the product."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def freeze(self, key: str, rule: dict[str, Any]) -> dict[str, Any]:
        """Return the split rule recorded for this data, recording `rule` if there was none or its share is smaller."""
        with self._held() as content:
            known = content["splits"].get(key)
            if known is None or (
                known | {"fraction": rule.get("fraction")} == rule and _is_less(rule, known)
            ):
                content["splits"][key] = rule
                write_json(self.path, content)
            return dict(content["splits"][key])

    def rule(self, key: str) -> dict[str, Any] | None:
        """Return the split rule recorded for this data, if any."""
        found = self._read()["splits"].get(key)
        return dict(found) if found else None

    def trained(self) -> npt.NDArray[np.uint64]:
        """Return every unit that any build here has trained on, under whatever name its file had."""
        return np.frombuffer(base64.b64decode(self._read().get("trained", "")), dtype="<u8")

    def remember_trained(self, units: npt.NDArray[np.uint64]) -> None:
        """Add units to those trained on: their scores may be read from now on, so they never certify."""
        with self._held() as content:
            known = np.frombuffer(base64.b64decode(content.get("trained", "")), dtype="<u8")
            union = np.union1d(known, units).astype("<u8")
            if len(union) > len(known):
                content["trained"] = base64.b64encode(union.tobytes()).decode()
                write_json(self.path, content)

    def sketches(self) -> list[RowSketch]:
        """Return the sketches of sources that builds here have used, the oldest first."""
        return [RowSketch.unpacked(packed) for packed in self._read().get("sources", ())]

    def remember_source(self, sketch: RowSketch, respelled: npt.NDArray[np.uint64]) -> int:
        """Keep the sketch of a source; return how many earlier looks count for rows that are spelled otherwise now.

        respelled: units that certify now and stood in an earlier source with another spelling; may be none. From now
        on every look taken so far counts as one at these units.
        """
        with self._held() as content:
            before = json.dumps([content.get("sources"), content.get("respelled")])
            sources = content.setdefault("sources", [])
            packed = sketch.packed()
            if len(sketch.rows) and packed not in sources:
                sources[_SKETCHES - 1 :] = [packed]
            links = content.setdefault("respelled", [])
            units = base64.b64encode(np.unique(respelled).astype("<u8").tobytes()).decode()
            known = [link for link in links if link["units"] == units]
            if len(respelled) and not known and content["looks"]:
                links.append({"units": units, "looks": len(content["looks"])})
            if json.dumps([content["sources"], content["respelled"]]) != before:
                write_json(self.path, content)
            if not len(respelled):
                return 0
            return int(known[0]["looks"]) if known else len(content["looks"])

    def take(
        self,
        units: Iterable[str],
        look: dict[str, Any],
        alpha: Callable[[list[dict[str, Any]]], float],
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the record of this look, and the earlier looks that share a unit with it.

        look: what makes two looks the same (bundle, bar, content of the rows). alpha: the error a look may
        spend, from the looks before it. A look that was taken before is returned as it was: no new one is
        spent. Otherwise it is written down, with its error, before anyone sees its outcome, so that a crash
        cannot buy a free one.
        """
        packed = pack_units(units)
        with self._held() as content:
            earlier = _sharing(content, packed)
            old = _same(earlier, packed, look)
            if old:
                return old, [other for other in earlier if other["id"] < old["id"]]
            record = {
                "id": len(content["looks"]) + 1,
                **look,
                "alpha": alpha(earlier),
                "outcome": "pending",
                "published": None,
                "units": packed,
            }
            record["seal"] = _seal(record)
            content["looks"].append(record)
            write_json(self.path, content)
            return record, earlier

    def earlier(self, units: Iterable[str]) -> list[dict[str, Any]]:
        """Return every look ever taken that shares a unit with these."""
        return _sharing(self._read(), pack_units(units))

    def looks(self) -> list[dict[str, Any]]:
        """Return every look ever taken here, the oldest first."""
        return list(self._read()["looks"])

    def looked(self) -> npt.NDArray[np.uint64]:
        """Return every unit that any look has seen, each once."""
        packed = {look["units"] for look in self._read()["looks"]}
        found = [np.frombuffer(base64.b64decode(text), dtype="<u8") for text in packed]
        return np.unique(np.concatenate([*found, np.zeros(0, "<u8")]))

    def has(self, units: Iterable[str], look: dict[str, Any]) -> bool:
        """Return whether this very look was taken before, so that taking it costs nothing."""
        return _same(self._read()["looks"], pack_units(units), look) is not None

    def settle(
        self, look_id: int, outcome: str, published: Sequence[float], transcripts: int
    ) -> dict[str, Any]:
        """Return the record of a look, its outcome written down before anyone reads it.

        The first outcome stands: whoever asks again, on another machine or after a crash, publishes the same.
        """
        with self._held() as content:
            record: dict[str, Any] = content["looks"][look_id - 1]
            if record["outcome"] == "pending":
                record.update(outcome=outcome, published=list(published) or None, transcripts=transcripts)
                record["seal"] = _seal(record)
                write_json(self.path, content)
            return record

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {"format": 1, "splits": {}, "looks": []}
        try:
            content = read_json(self.path)
            if content["format"] != 1:
                raise ValueError(f"format {content['format']} is not known")
            dict(content["splits"])
            for number, look in enumerate(content["looks"], 1):
                _check(look, number)
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise RunError(f"the file cannot be read: {why}", str(self.path), _FIX) from None
        return dict(content)

    @contextmanager
    def _held(self) -> Iterator[dict[str, Any]]:
        """Yield the content while no other process can change it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if os.name == "nt":  # Windows cannot lock a folder; two builds at once are the user's to avoid there.
            yield self._read()
            return
        import fcntl

        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield self._read()
        finally:
            os.close(folder)


def pack_units(units: Iterable[str]) -> str:
    """Return the set of units (16 hex digits each) as text: sorted, 8 bytes each, base64."""
    numbers = np.array(sorted({int(unit, 16) for unit in units}), dtype="<u8")
    return base64.b64encode(numbers.tobytes()).decode()


def _is_less(rule: dict[str, Any], known: dict[str, Any]) -> bool:
    return bool(rule.get("fraction", 0.0) < known.get("fraction", 0.0))


def _seal(look: Mapping[str, Any]) -> str:
    """Return the hash of a record without its seal."""
    content = {key: value for key, value in look.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _check(look: dict[str, Any], number: int) -> None:
    """Raise ValueError, KeyError or TypeError when a record is not one that `take` and `settle` wrote."""
    if look["id"] != number:
        # Two branches that both took looks, merged by hand: which look is whose can no longer be told.
        raise ValueError(f"the look in place {number} has the number {look['id']}")
    if look["outcome"] not in {"pending", "failed", "passed"}:
        raise ValueError(f"look {number} has the outcome '{look['outcome']}'")
    if look["outcome"] != "pending" and not int(look["transcripts"]) >= 1:
        raise ValueError(f"look {number} has {look['transcripts']} transcripts")
    if not 0.0 < float(look["alpha"]) < 1.0:
        raise ValueError(f"look {number} has the error {look['alpha']}")
    if len(base64.b64decode(look["units"], validate=True)) % 8:
        raise ValueError(f"the units of look {number} are cut off")
    look["bundle"], look["bar"]
    # Records of version 0.1 have no seal. Who means to forge can seal again; a number changed by hand is noticed.
    if "seal" in look and look["seal"] != _seal(look):
        raise ValueError(f"look {number} is not as it was written: its seal differs")


def _same(looks: list[dict[str, Any]], packed: str, look: dict[str, Any]) -> dict[str, Any] | None:
    for old in looks:
        if old["units"] == packed and all(old.get(key) == value for key, value in look.items()):
            return old
    return None


def _sharing(content: dict[str, Any], packed: str) -> list[dict[str, Any]]:
    """Return the looks that share a unit with these, or were taken at rows that these spell otherwise."""
    mine = np.frombuffer(base64.b64decode(packed), dtype="<u8")

    def shares(other: str) -> bool:
        theirs = np.frombuffer(base64.b64decode(other), dtype="<u8")
        return other == packed or bool(np.isin(mine, theirs, assume_unique=True).any())

    links = [link["looks"] for link in content.get("respelled", ()) if shares(link["units"])]
    linked = max(links, default=0)
    return [look for look in content["looks"] if look["id"] <= linked or shares(look["units"])]
