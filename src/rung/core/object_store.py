"""Files in an object store, such as s3://: found by a pattern, fetched, and put there whole. Through fsspec."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import MissingExtra, RungError
from rung.core.spec.source_names import masked

# What says that a file has changed, in the words of the stores; the first one that a store gives.
_CHANGED = ("ETag", "etag", "content_md5", "LastModified", "last_modified", "updated", "mtime", "created")
_HERE = "file://"
_FIX = "Look at the address, the credentials in the environment and, of a store of your own, its AWS_ENDPOINT_URL."


@dataclass(frozen=True)
class StoredFile:
    """A file as its store lists it. changed: differs where its content does."""

    address: str
    size: int
    changed: str


def is_address(text: str) -> bool:
    """Return whether a text is an address of a store, not a path of this machine."""
    return "://" in text


def address_of(text: str) -> str:
    """Return the address of a file or folder that a text names: itself, or file:// and the whole path."""
    return text.rstrip("/") if is_address(text) else f"{_HERE}{Path(text).resolve()}"


def matching(source: str) -> list[StoredFile]:
    """Return the files that a pattern, a folder or an address names, by name; hidden ones are left out.

    Raises RungError where the store does not answer, MissingExtra without its package.
    """
    with _answering(source):
        files, path = _store(source)
        files.invalidate_cache()
        if any(sign in path for sign in "*?["):
            found = files.glob(path, detail=True)
        elif files.isfile(path):
            found = {path: files.info(path)}
        else:
            found = {one["name"]: one for one in files.ls(path, detail=True)}
        return [
            StoredFile(files.unstrip_protocol(name), info["size"], _changed(info))
            for name, info in sorted(found.items())
            if info["type"] == "file" and not name.rpartition("/")[2].startswith(".")
        ]


def sizes(folder: str) -> dict[str, int]:
    """Return the size of each file below a folder, by its address; none where there is no such folder."""
    with _answering(folder):
        files, path = _store(folder)
        files.invalidate_cache()
        found = files.find(path, detail=True)
    return {files.unstrip_protocol(name): info["size"] for name, info in found.items()}


def contents(folder: str, addresses: Iterable[str]) -> dict[str, bytes]:
    """Return what files of one store hold, by their addresses; one that is gone is left out. folder: names the store."""
    with _answering(folder):
        files, _ = _store(folder)
        named = {files._strip_protocol(address): address for address in addresses}
        found = files.cat(list(named), on_error="omit") if named else {}
    if isinstance(found, bytes):  # Of one alone.
        return {next(iter(named.values())): found}
    return {named[name]: content for name, content in found.items()}


def fetch(address: str, path: Path) -> None:
    """Copy a file of a store to a path."""
    with _answering(address):
        files, there = _store(address)
        files.get_file(there, str(path))


def put(path: Path, address: str) -> None:
    """Copy a file to a store: it appears there whole, in place of one that was there."""
    with _answering(address):
        if address.startswith(_HERE):
            _put_here(path, Path(address.removeprefix(_HERE)))
        else:
            files, there = _store(address)
            files.put_file(str(path), there)


def _put_here(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{path.parent.name}.tmp")
    try:
        shutil.copyfile(path, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _changed(info: dict[str, Any]) -> str:
    return next((f"{key} {info[key]}" for key in _CHANGED if info.get(key) is not None), "")


def _store(address: str) -> tuple[Any, str]:
    """Return the store of an address, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra("an address of a store", "s3", "s3fs") from error
    try:
        files, path = url_to_fs(address)
    except ImportError as error:  # fsspec says which package; of s3 we know the extra.
        if address.startswith(("s3://", "s3a://")):
            raise MissingExtra("an address of a store", "s3", "s3fs") from error
        raise RungError(
            f"a package is missing for this store: {error}", masked(address), "Install it."
        ) from error
    return files, path


@contextmanager
def _answering(address: str) -> Iterator[None]:
    """Turn what a store refuses into one kind of error, with the address."""
    try:
        yield
    except RungError:
        raise
    except Exception as error:  # Each store has its own.
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RungError(f"the store does not answer as it should: {said}", masked(address), _FIX) from error
