"""certificate.lock: which rows certify, for ever, and every look ever taken on them."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.errors import RunError
from rung.core.files import read_json, write_json

_FIX = (
    "Restore it from version control. If you delete it, looks already taken are forgotten and no certificate "
    "made afterwards can be trusted."
)


class CertificateLock:
    """The lock file beside product.yaml. Keep it in version control with the product."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def freeze(self, key: str, rule: dict[str, Any]) -> dict[str, Any]:
        """Return the split rule first recorded for this data, recording `rule` if there was none."""
        with self._held() as content:
            if key not in content["splits"]:
                content["splits"][key] = rule
                write_json(self.path, content)
            return dict(content["splits"][key])

    def rule(self, key: str) -> dict[str, Any] | None:
        """Return the split rule recorded for this data, if any."""
        found = self._read()["splits"].get(key)
        return dict(found) if found else None

    def take(self, units: Iterable[str], look: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the record of this look, and the earlier looks that share a unit with it.

        A look at the same bundle, bar and rows that was taken before is returned as it was: no new look is
        spent. Otherwise the look is written down before anyone sees its outcome, so that a crash cannot
        buy a free one.
        """
        packed = pack_units(units)
        with self._held() as content:
            earlier = _sharing(content["looks"], packed)
            for old in earlier:
                if all(old[key] == look[key] for key in ("bundle", "bar")) and old["units"] == packed:
                    before = [other for other in earlier if other["id"] < old["id"]]
                    return old, before
            record = {
                "id": len(content["looks"]) + 1,
                **look,
                "outcome": "pending",
                "published": None,
                "units": packed,
            }
            content["looks"].append(record)
            write_json(self.path, content)
            return record, earlier

    def earlier(self, units: Iterable[str]) -> list[dict[str, Any]]:
        """Return every look ever taken that shares a unit with these."""
        return _sharing(self._read()["looks"], pack_units(units))

    def settle(self, look_id: int, outcome: str, published: list[float] | None, transcripts: int) -> None:
        """Write down what a look published, before it is published."""
        with self._held() as content:
            record = content["looks"][look_id - 1]
            record.update(outcome=outcome, published=published, transcripts=transcripts)
            write_json(self.path, content)

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {"format": 1, "splits": {}, "looks": []}
        try:
            content = read_json(self.path)
            if content["format"] != 1 or not isinstance(content["looks"], list):
                raise ValueError("unknown format")
            dict(content["splits"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"the file cannot be read: {error}", str(self.path), _FIX) from None
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


def _sharing(looks: list[dict[str, Any]], packed: str) -> list[dict[str, Any]]:
    mine = np.frombuffer(base64.b64decode(packed), dtype="<u8")
    return [
        look
        for look in looks
        if look["units"] == packed
        or np.isin(
            mine, np.frombuffer(base64.b64decode(look["units"]), dtype="<u8"), assume_unique=True
        ).any()
    ]
