"""Write a packed file of each kind that is read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa


def pack(path: Path, data: bytes) -> Path:
    """Write bytes packed as the ending says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__MACOSX/._a", b"x")
            archive.writestr("folder/" + path.stem, data)
    elif path.suffix == ".zst":
        with pa.output_stream(str(path), compression="zstd") as sink:
            sink.write(data)
    else:
        packers: dict[str, Callable[[bytes], bytes]] = {
            ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress,
        }  # fmt: skip
        path.write_bytes(packers[path.suffix](data))
    return path
