"""API keys and rate limits. Only hashes of keys are stored; running servers see a change immediately.

A key is `rung_<id>_<secret>`: the id selects the entry, the secret is 256 random bits. A secret with that much entropy
needs no slow hash: SHA-256 of it cannot be brute-forced. Hashes are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.errors import RungError, did_you_mean
from rung.core.files import locked, write_text, writing
from rung.serving.shared_state import refresh, shared_edit

ROLES = ("predict", "review", "admin")
_KEY_PATTERN = re.compile(r"rung_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
# Compared with when the id is unknown, so that an unknown id takes as long as a wrong secret.
_DUMMY_DIGEST = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True)
class ApiKey:
    """A key without its secret. Times are Unix timestamps; revoked_at, expires_at: None means never."""

    id: str
    name: str
    role: str
    digest: str
    made_at: float
    per_minute: int | None = None
    expires_at: float | None = None
    revoked_at: float | None = None

    def is_valid(self, now: float) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class KeyStore:
    """The keys of a service folder, in `keys.json` (mode 0600). Each read costs one `stat`; writers take a file lock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys.json"
        self._file_state: tuple[int, ...] | None = None
        self._keys: Mapping[str, ApiKey] = {}
        self._existed = False

    def in_use(self) -> bool:
        """Return whether keys exist or have existed: a server does not become open when its key file disappears."""
        self._existed = self._existed or self.path.is_file()
        return self._existed

    def all(self) -> list[ApiKey]:
        """Return all keys, oldest first, revoked ones included; raises RungError for a damaged file."""
        refresh(self.path.parent)
        self._refresh()
        return sorted(self._keys.values(), key=lambda key: key.made_at)

    def find(self, presented: str) -> ApiKey | None:
        """Return the entry of a presented key; None when it is unknown, revoked or expired."""
        self._refresh()
        match = _KEY_PATTERN.fullmatch(presented)
        entry = self._keys.get(match[1]) if match else None
        digest = hashlib.sha256((match[2] if match else "").encode()).hexdigest()
        right = hmac.compare_digest(digest, entry.digest if entry else _DUMMY_DIGEST)
        return entry if entry and right and entry.is_valid(time.time()) else None

    def create(
        self, name: str, role: str, per_minute: int | None = None, expires_at: float | None = None
    ) -> tuple[ApiKey, str]:
        """Return a new entry and the key itself, which is not stored."""
        if role not in ROLES:
            raise RungError(f"there is no role '{role}'", "--role", did_you_mean(role, ROLES))
        key, token = _new_key(name, role, per_minute, expires_at)
        with self._edit() as keys:
            if any(other.name == name and other.is_valid(time.time()) for other in keys.values()):
                raise RungError(
                    f"a key called '{name}' already exists", "", "Choose another name, or rotate that key."
                )
            keys[key.id] = key
        return key, token

    def revoke(self, name: str) -> ApiKey:
        """Revoke a key immediately and return it. name: name or id of the key."""
        with self._edit() as keys:
            key = replace(_find_valid(keys, name), revoked_at=time.time())
            keys[key.id] = key
        return key

    def rotate(self, name: str, overlap_seconds: float = 0.0) -> tuple[ApiKey, str]:
        """Replace a key and return the new one; the old one expires after `overlap_seconds`."""
        with self._edit() as keys:
            old = _find_valid(keys, name)
            key, token = _new_key(old.name, old.role, old.per_minute, old.expires_at)
            ends = time.time() + overlap_seconds
            keys[old.id] = replace(old, expires_at=min(ends, old.expires_at or ends))
            keys[key.id] = key
        return key, token

    def _refresh(self) -> None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._keys, self._file_state = {}, None
            return
        state = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if state != self._file_state:
            self._keys, self._file_state = _read_keys(self.path), state

    @contextmanager
    def _edit(self) -> Iterator[dict[str, ApiKey]]:
        with writing(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self.path.with_name("keys.lock")), shared_edit(self.path.parent):
            keys = dict(_read_keys(self.path)) if self.path.is_file() else {}
            yield keys
            old = os.umask(0o077)
            try:
                write_text(self.path, json.dumps([asdict(key) for key in keys.values()], indent=1) + "\n")
            finally:
                os.umask(old)
        self._refresh()


def _new_key(name: str, role: str, per_minute: int | None, expires_at: float | None) -> tuple[ApiKey, str]:
    if not re.fullmatch(r"\w[\w.@-]{0,63}", name):
        raise RungError(
            f"'{name}' is not a valid key name", "", "Use at most 64 letters, digits, '_', '-', '.' and '@'."
        )
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    key = ApiKey(key_id, name, role, digest, time.time(), per_minute, expires_at)
    return key, f"rung_{key_id}_{secret}"


def _find_valid(keys: Mapping[str, ApiKey], name: str) -> ApiKey:
    now = time.time()
    found = [key for key in keys.values() if name in {key.id, key.name} and key.is_valid(now)]
    if not found:
        valid = [key.name for key in keys.values() if key.is_valid(now)]
        raise RungError(f"there is no valid key called '{name}'", "", did_you_mean(name, valid))
    # During the overlap of a rotation there are two keys of one name: the newest is meant.
    return max(found, key=lambda key: key.made_at)


def _read_keys(path: Path) -> dict[str, ApiKey]:
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        keys = [ApiKey(**item) for item in raw]
        if not all(isinstance(key.digest, str) and key.role in ROLES for key in keys):
            raise TypeError("an entry is not a key")
    except (OSError, ValueError, TypeError) as error:
        fix = "Restore it from a backup, or delete it: `rung keys create` then makes a new one."
        raise RungError(f"the keys cannot be read: {type(error).__name__}", str(path), fix) from None
    return {key.id: key for key in keys}


class RateLimit:
    """A token bucket per API key. It refills evenly and holds a tenth of the requests per minute, at least one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def acquire(self, key_id: str, per_minute: int) -> float | None:
        """Take one request and return 0.0, or return the seconds until the next one is allowed; None: ask `lease`, which may wait."""
        now, capacity, rate = self._clock(), max(per_minute / 10, 1.0), per_minute / 60
        tokens, updated = self._buckets.get(key_id, (capacity, now))
        tokens = min(capacity, tokens + (now - updated) * rate)
        if tokens < 1.0:
            self._buckets[key_id] = (tokens, now)
            return (1.0 - tokens) / rate
        self._buckets[key_id] = (tokens - 1.0, now)
        return 0.0

    def lease(self, key_id: str, per_minute: int) -> float:
        """Return what `acquire` does, and wait for others where that takes it."""
        return self.acquire(key_id, per_minute) or 0.0
