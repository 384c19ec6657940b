"""Media referenced by content hash, and the stores that resolve a reference to bytes.

A blob is what a field of media holds. Tables, manifests and journals keep its reference (hash, size, name); the
bytes stay where they are. A store resolves a reference and checks the hash of what it reads, so that a file that
changed since is an error, never a silently different answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from rung.core.errors import BundleError, DataError, InputError
from rung.core.files import sha256, write_text

# The folder of a bundle, and the ending of its files, that hold the media of its self-test.
MEDIA_FOLDER, MEDIA_SUFFIX = "media", ".blob"
_INDEX = "media.jsonl"


class BlobSource(Protocol):
    """Where the bytes of a blob lie."""

    def read(self, blob: Blob) -> bytes:
        """Return the bytes; raises RungError when they are gone or no longer those of the hash."""
        ...


class MediaResolver(Protocol):
    """Turns a stored reference back into a blob whose bytes can be read."""

    def resolve(self, reference: Mapping[str, Any]) -> Blob: ...


@dataclass(frozen=True)
class Blob:
    """Bytes by reference. sha256: of the content, hex. size: in bytes. name: as people know it.

    measures: what its kind measured of it (width, duration, ...), where the bytes may be gone. Two blobs of the same
    content are equal, whatever they are called and wherever they lie.
    """

    sha256: str
    size: int = field(compare=False)
    name: str = field(default="", compare=False)
    measures: Mapping[str, float] = field(default_factory=dict, compare=False, hash=False)
    source: BlobSource | None = field(default=None, compare=False, repr=False)

    def read(self) -> bytes:
        """Return the content; raises DataError when it is not kept here."""
        if self.source is None:
            raise DataError("its content is not kept here, its hash alone", self.name or self.sha256[:12])
        return self.source.read(self)

    def reference(self) -> dict[str, Any]:
        """Return what tables and journals keep of it."""
        found: dict[str, Any] = {"sha256": self.sha256, "size": self.size, "name": self.name}
        return found | ({"measures": dict(self.measures)} if self.measures else {})

    def shown(self) -> str:
        """Return a short text for people."""
        return self.name or f"sha256:{self.sha256[:12]}"

    def __str__(self) -> str:
        return self.shown()

    @staticmethod
    def of(data: bytes, name: str = "") -> Blob:
        """Return a blob whose bytes are in memory."""
        return Blob(hashlib.sha256(data).hexdigest(), len(data), name, source=_InMemory(data))

    @staticmethod
    def from_reference(raw: Mapping[str, Any], source: BlobSource | None = None) -> Blob:
        """Return the blob of a reference; raises InputError when it is none."""
        digest, size = raw.get("sha256"), raw.get("size", 0)
        if not (isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
            raise InputError("this is not a reference to media", "sha256", "Send the content itself.")
        measures = raw.get("measures") or {}
        return Blob(digest, int(size), str(raw.get("name", "")), dict(measures), source)


@dataclass(frozen=True)
class _InMemory:
    data: bytes

    def read(self, blob: Blob) -> bytes:
        return self.data


@dataclass(frozen=True)
class FileSource:
    """A file of this machine. Made by our own code from paths it chose, never from what a request names."""

    path: Path

    def read(self, blob: Blob) -> bytes:
        """Return the file's bytes; raises DataError when it is gone or was changed."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DataError(
                f"it cannot be read: {reason}", blob.shown(), "Put it back, or build again."
            ) from None
        if hashlib.sha256(data).hexdigest() != blob.sha256:
            fix = "Build again: the data is not what it was."
            raise DataError("the file changed since it was read: its SHA-256 differs", blob.shown(), fix)
        return data


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, hex, read again only when its size or time of change differs."""
    stat = path.stat()
    return _hash_of(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 20)
def _hash_of(path: str, size: int, changed: int) -> str:
    return sha256(Path(path))


def blob_of_file(path: Path, name: str = "", most_bytes: int | None = None) -> Blob:
    """Return the blob of a file, read once for its hash. Raises ValueError, "reason: detail", for what cannot be used."""
    try:
        size = path.stat().st_size
        if most_bytes is not None and size > most_bytes:
            raise ValueError(f"too_large: holds {size:,} bytes; at most {most_bytes:,}")
        digest = content_hash(path)
    except OSError as error:
        raise ValueError(f"unreadable: cannot be read, {(error.strerror or str(error)).lower()}") from None
    return Blob(digest, size, name or path.name, source=FileSource(path))


def decoded_base64(text: str, most_bytes: int) -> bytes:
    """Return the bytes of base64, line breaks and a data URI's head left out; raises ValueError in words."""
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise ValueError("a data URI must be base64")
    text = "".join(text.split())
    if len(text) > -(-most_bytes // 3) * 4 + 4:
        raise ValueError(f"more than {most_bytes:,} bytes")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64; a path or an address is never opened") from None


class BlobStore:
    """The media of a prepared data set: where each content lies.

    folder: of the data set. base: the product's folder; files below it are referenced by their relative path, so the
    two can move together. Content that lies in no file of its own (bytes in a Parquet cell, a member of an archive)
    is copied into the store.
    """

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.base = folder, base
        self._paths: dict[str, str] = {}

    @classmethod
    def open(cls, folder: Path) -> BlobStore:
        """Return the store of a data set as `save` left it; an empty one where the data set has no media."""
        index = folder / _INDEX
        if not index.is_file():
            return cls(folder, folder)
        with index.open(encoding="utf-8") as file:
            store = cls(folder, folder / json.loads(next(file))["base"])
            for line in file:
                entry = json.loads(line)
                store._paths[entry["sha256"]] = entry["path"]
        return store

    def add_file(self, path: Path, name: str, most_bytes: int | None = None) -> Blob:
        """Return the blob of a file below the product's folder. Raises ValueError, "reason: detail"."""
        blob = blob_of_file(path, name, most_bytes)
        self._paths.setdefault(blob.sha256, Path(os.path.relpath(path, self.base)).as_posix())
        return blob

    def add_bytes(self, data: bytes, name: str) -> Blob:
        """Return the blob of bytes that lie in no file of their own; the store keeps a copy."""
        blob = Blob.of(data, name)
        target = self._copy(blob.sha256)
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_suffix(".tmp")
            temporary.write_bytes(data)
            temporary.replace(target)
        return replace(blob, source=FileSource(target))

    def resolve(self, reference: Mapping[str, Any]) -> Blob:
        """Return the blob of a reference; reading it raises DataError when the store does not know its content."""
        blob = Blob.from_reference(reference)
        copy, known = self._copy(blob.sha256), self._paths.get(blob.sha256)
        path = copy if copy.is_file() or known is None else self.base / known
        return replace(blob, source=FileSource(path))

    def save(self) -> None:
        """Write the index: where each referenced content lies. Nothing where there is no media."""
        if self._paths or (self.folder / MEDIA_FOLDER).is_dir():
            head = {"base": Path(os.path.relpath(self.base, self.folder)).as_posix()}
            lines = [head, *({"sha256": digest, "path": path} for digest, path in self._paths.items())]
            write_text(
                self.folder / _INDEX, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            )

    def _copy(self, digest: str) -> Path:
        return self.folder / MEDIA_FOLDER / digest[:2] / f"{digest}{MEDIA_SUFFIX}"


class MemoryStore(BlobStore):
    """A store for rows that are read once: content that lies in no file stays in memory, and nothing is written."""

    def __init__(self) -> None:
        super().__init__(Path(), Path())

    def add_file(self, path: Path, name: str, most_bytes: int | None = None) -> Blob:
        """Return the blob of a file. Raises ValueError, "reason: detail"."""
        return blob_of_file(path, name, most_bytes)

    def add_bytes(self, data: bytes, name: str) -> Blob:
        """Return a blob whose bytes are in memory."""
        return Blob.of(data, name)


@dataclass(frozen=True)
class BundleMedia:
    """The media that a bundle's self-test needs, in its folder `media/`, hashed in the manifest like every file."""

    folder: Path

    def add(self, blob: Blob) -> None:
        """Copy the content of a blob into the bundle."""
        (self.folder / MEDIA_FOLDER).mkdir(exist_ok=True)
        (self.folder / MEDIA_FOLDER / f"{blob.sha256}{MEDIA_SUFFIX}").write_bytes(blob.read())

    def resolve(self, reference: Mapping[str, Any]) -> Blob:
        """Return the blob of a self-test's reference; raises BundleError when the bundle does not hold it."""
        blob = Blob.from_reference(reference)
        path = self.folder / MEDIA_FOLDER / f"{blob.sha256}{MEDIA_SUFFIX}"
        if not path.is_file():
            raise BundleError(
                f"the self-test's '{blob.shown()}' is missing", self.folder.name, "Build it again."
            )
        return replace(blob, source=FileSource(path))


@dataclass(frozen=True)
class TransferMedia:
    """References for a process of our own on this machine: they name the file, or a copy in a scratch folder."""

    scratch: Path

    def reference(self, blob: Blob) -> dict[str, Any]:
        """Return the reference of a blob with the place of its content."""
        if isinstance(blob.source, FileSource):
            path = blob.source.path
        else:
            path = self.scratch / f"{blob.sha256}{MEDIA_SUFFIX}"
            if not path.is_file():
                path.write_bytes(blob.read())
        return blob.reference() | {"file": str(path.resolve())}

    def resolve(self, reference: Mapping[str, Any]) -> Blob:
        """Return the blob of a reference that `reference` made."""
        return Blob.from_reference(reference, FileSource(Path(reference["file"])))


class NoMedia:
    """Resolves references whose content is not here: reading them raises DataError."""

    def resolve(self, reference: Mapping[str, Any]) -> Blob:
        """Return the blob without its bytes."""
        return Blob.from_reference(reference)
