"""API keys: who may ask what. Only hashes are stored; a change counts at once in servers that run.

A key is `rung_<id>_<secret>`: the id finds its entry, the secret is 256 random bits. So much chance needs no slow
hash: SHA-256 of it cannot be searched for, and it is compared without telling by its time how much was right.
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
from rung.core.files import write_text, writing

ROLES = ("predict", "review", "admin")
_KEY_PATTERN = re.compile(r"rung_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
# Compared with where there is no such id, so that an unknown id takes as long as a wrong secret.
_DUMMY_DIGEST = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True)
class ApiKey:
    """One key without its secret. revoked_at, expires_at: seconds since 1970; None: never."""

    id: str
    name: str
    role: str
    digest: str
    made_at: float
    per_minute: int | None = None
    expires_at: float | None = None
    revoked_at: float | None = None

    def is_valid(self, now: float) -> bool:
        """Return whether the key opens anything now."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class KeyStore:
    """The keys of a service folder, in `keys.json` (mode 0600). Reading costs a `stat`; writers lock each other out."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys.json"
        self._file_state: tuple[int, ...] | None = None
        self._keys: Mapping[str, ApiKey] = {}
        self._existed = False

    def in_use(self) -> bool:
        """Return whether there are or ever were keys: a server that had keys does not fall open when they vanish."""
        self._existed = self._existed or self.path.is_file()
        return self._existed

    def all(self) -> list[ApiKey]:
        """Return the keys, oldest first, those that are revoked too; raises RungError for a damaged file."""
        self._refresh()
        return sorted(self._keys.values(), key=lambda key: key.made_at)

    def find(self, presented: str) -> ApiKey | None:
        """Return the valid key that someone presents; None when it opens nothing."""
        self._refresh()
        match = _KEY_PATTERN.fullmatch(presented)
        entry = self._keys.get(match[1]) if match else None
        digest = hashlib.sha256((match[2] if match else "").encode()).hexdigest()
        right = hmac.compare_digest(digest, entry.digest if entry else _DUMMY_DIGEST)
        return entry if entry and right and entry.is_valid(time.time()) else None

    def create(
        self, name: str, role: str, per_minute: int | None = None, expires_at: float | None = None
    ) -> tuple[ApiKey, str]:
        """Return a new key and what its holder presents, which is stored nowhere."""
        if role not in ROLES:
            raise RungError(f"there is no role '{role}'", "--role", did_you_mean(role, ROLES))
        key, shown = _new_key(name, role, per_minute, expires_at)
        with self._edit() as keys:
            if any(other.name == name and other.is_valid(time.time()) for other in keys.values()):
                raise RungError(
                    f"there is a key called '{name}' already", "", "Choose another name, or rotate that one."
                )
            keys[key.id] = key
        return key, shown

    def revoke(self, name: str) -> ApiKey:
        """Return the key, which opens nothing from now on. name: of the key, or its id."""
        with self._edit() as keys:
            key = replace(_find_valid(keys, name), revoked_at=time.time())
            keys[key.id] = key
        return key

    def rotate(self, name: str, overlap_seconds: float = 0.0) -> tuple[ApiKey, str]:
        """Return a key in the place of another; the old one ends after the overlap."""
        with self._edit() as keys:
            old = _find_valid(keys, name)
            key, shown = _new_key(old.name, old.role, old.per_minute, old.expires_at)
            ends = time.time() + overlap_seconds
            keys[old.id] = replace(old, expires_at=min(ends, old.expires_at or ends))
            keys[key.id] = key
        return key, shown

    def _refresh(self) -> None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._keys, self._file_state = {}, None
            return
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen != self._file_state:
            self._keys, self._file_state = _read_keys(self.path), seen

    @contextmanager
    def _edit(self) -> Iterator[dict[str, ApiKey]]:
        with writing(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _file_lock(self.path.with_name("keys.lock")):
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
            f"'{name}' cannot name a key", "", "Use letters, digits, '_', '-', '.' and '@', at most 64."
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
    # After a rotation with an overlap there are two for a while: the newest is meant.
    return max(found, key=lambda key: key.made_at)


def _read_keys(path: Path) -> dict[str, ApiKey]:
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        keys = [ApiKey(**item) for item in raw]
        if not all(isinstance(key.digest, str) and key.role in ROLES for key in keys):
            raise TypeError("an entry is no key")
    except (OSError, ValueError, TypeError) as error:
        fix = "Put back a copy of it; `rung keys create` makes a new file where there is none."
        raise RungError(f"the keys cannot be read: {type(error).__name__}", str(path), fix) from None
    return {key.id: key for key in keys}


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.name != "nt":  # Windows has no such lock; two changes at once are the user's to avoid there.
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class RateLimit:
    """Requests a minute for each key: a bucket that fills evenly and holds a tenth of a minute's worth, at least one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def acquire(self, key_id: str, per_minute: int) -> float:
        """Return 0.0 and take one, or the seconds until there is one again."""
        now, most, rate = self._clock(), max(per_minute / 10, 1.0), per_minute / 60
        left, then = self._buckets.get(key_id, (most, now))
        left = min(most, left + (now - then) * rate)
        if left < 1.0:
            self._buckets[key_id] = (left, now)
            return (1.0 - left) / rate
        self._buckets[key_id] = (left - 1.0, now)
        return 0.0
