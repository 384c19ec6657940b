"""Store embeddings on disk by the hash of their input, so that nothing is embedded twice.

One append-only file for each encoder: a header, then records of equal size: key (16 bytes), checksum (4
bytes), vector. There is no separate index: keys are read when the file is opened. A record that was truncated
by a crash or corrupted on disk fails its checksum and is overwritten or skipped.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import RungError

_HEADER = struct.Struct("<8s4sI")  # mark, kind of number, width
_MARK = b"rungemb1"
_KEY_BYTES = 16
_VECTOR_AT = _KEY_BYTES + 4
_KINDS = {"float16": b"f2\0\0", "float32": b"f4\0\0", "uint8": b"u1\0\0"}


class EmbeddingCache:
    """Embeddings of one encoder, by the hash of the input.

    folder: location of the file; encoder_id: id in `encoder.json`, with whatever else changes an embedding (a
    prefix, pooling of chunks); kind: 'float16' halves the file and changes a cosine by less than 0.000001,
    'uint8' is for levels of pixels;
    most_mb: maximum size of the file, in 10^6 bytes. Processes can share a file: appending takes an exclusive
    lock.
    """

    def __init__(
        self, folder: Path | str, encoder_id: str, width: int, kind: str = "float16", most_mb: float = 2000.0
    ) -> None:
        if kind not in _KINDS:
            raise RungError(f"'{kind}' is not a kind of number here.", "", f"One of: {', '.join(_KINDS)}.")
        name = hashlib.blake2b(encoder_id.encode(), digest_size=12).hexdigest()
        plain = re.sub(r"[^\w-]+", "-", encoder_id)[:40]
        self.path = Path(folder) / f"{plain}-{name}-{width}-{kind}.emb"
        self.width = width
        self._salt = hashlib.blake2b(encoder_id.encode(), digest_size=16).digest()
        self._header = _HEADER.pack(_MARK, _KINDS[kind], width)
        number = np.dtype(kind).newbyteorder("<")
        self._record = np.dtype([("key", f"V{_KEY_BYTES}"), ("check", "<u4"), ("vector", number, (width,))])
        self._returned = np.uint8 if kind == "uint8" else np.float32
        self._most_bytes = int(most_mb * 1e6)
        self._places: dict[bytes, int] = {}
        self._read_records = 0
        self._refresh()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, text: str) -> bool:
        return self.key(text) in self._places

    def key(self, text: str) -> bytes:
        """Return the key of a text: 16 bytes."""
        return hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES, key=self._salt
        ).digest()

    def embed(self, texts: Sequence[str], encode: Callable[[list[str]], NDArray[Any]]) -> NDArray[Any]:
        """Return [rows, width], float32 or of the kind 'uint8'; `encode` is called once, with the distinct
        texts that are not stored yet.

        Vectors are rounded to the file's type whether they come from the file or not, so that a second run
        returns the same values as the first.
        """
        keys = [self.key(text) for text in texts]
        missing: dict[bytes, str] = {}
        for key, text in zip(keys, texts, strict=True):
            if key not in self._places:
                missing.setdefault(key, text)
        fresh: dict[bytes, int] = {}
        vectors = np.zeros((0, self.width), self._record["vector"].base)
        if missing:
            vectors = np.asarray(encode(list(missing.values()))).astype(self._record["vector"].base)
            if vectors.shape != (len(missing), self.width):
                raise RungError(
                    f"the encoder returned {vectors.shape}, not {(len(missing), self.width)}.",
                    str(self.path),
                    "",
                )
            fresh = {key: number for number, key in enumerate(missing)}
            self._append(list(missing), vectors)
        result = np.empty((len(texts), self.width), self._returned)
        filed = [row for row, key in enumerate(keys) if key not in fresh]
        made = [row for row, key in enumerate(keys) if key in fresh]
        if made:
            result[made] = vectors[[fresh[keys[row]] for row in made]]
        if filed:
            stored = np.memmap(self.path, self._record, "r", len(self._header), (self._read_records,))
            result[filed] = stored["vector"][[self._places[keys[row]] for row in filed]]
        return result

    def _refresh(self) -> None:
        """Read the keys of complete records added since the last call, by any process."""
        if not self.path.is_file() or self.path.stat().st_size < len(self._header):
            return
        with self.path.open("rb") as file:
            if file.read(len(self._header)) != self._header:
                raise RungError(
                    "this is not an embedding cache of this kind.", str(self.path), "Delete the file."
                )
            count = (self.path.stat().st_size - len(self._header)) // self._record.itemsize
            step = max(1, (64 << 20) // self._record.itemsize)
            for start in range(self._read_records, count, step):
                file.seek(len(self._header) + start * self._record.itemsize)
                self._file_keys(file.read(min(step, count - start) * self._record.itemsize), start)
        self._read_records = max(self._read_records, count)

    def _file_keys(self, data: bytes, first: int) -> None:
        size = self._record.itemsize
        for number, at in enumerate(range(0, len(data) - size + 1, size), first):
            key = data[at : at + _KEY_BYTES]
            check = int.from_bytes(data[at + _KEY_BYTES : at + _VECTOR_AT], "little")
            if check == _check(key, data[at + _VECTOR_AT : at + size]):
                self._places[key] = number

    def _append(self, keys: list[bytes], vectors: NDArray[Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            if os.name != "nt":  # Windows has no such lock: two builds at once may embed a text twice.
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
            if file.seek(0, os.SEEK_END) < len(self._header):
                file.seek(0)
                file.write(self._header)
                file.flush()
            self._refresh()
            # An incomplete record at the end is overwritten, so that records stay aligned.
            end = len(self._header) + self._read_records * self._record.itemsize
            new = [number for number, key in enumerate(keys) if key not in self._places]
            new = new[: max(0, (self._most_bytes - end) // self._record.itemsize)]
            records = np.zeros(len(new), self._record)
            for place, number in enumerate(new):
                records[place]["vector"] = vectors[number]
                records[place]["key"] = np.void(keys[number])
                records[place]["check"] = _check(keys[number], vectors[number].tobytes())
            file.seek(end)
            file.write(records.tobytes())
            file.truncate()
            file.flush()
        for place, number in enumerate(new):
            self._places[keys[number]] = self._read_records + place
        self._read_records += len(new)


class LayeredCache:
    """Reads one cache and writes what it lacks to another: embeddings of inputs that must not outlive their source.

    Inputs of a journal are erased and expire; nothing that is computed from them stays in a cache of all builds.
    """

    def __init__(self, kept: EmbeddingCache, fresh: EmbeddingCache) -> None:
        self._kept, self._fresh = kept, fresh

    def embed(self, texts: Sequence[str], encode: Callable[[list[str]], NDArray[Any]]) -> NDArray[Any]:
        """Return what `EmbeddingCache.embed` returns."""
        known = np.array([text in self._kept for text in texts], bool)
        parts = [
            (np.flatnonzero(rows), cache) for rows, cache in ((known, self._kept), (~known, self._fresh))
        ]
        found = [(rows, cache.embed([texts[i] for i in rows.tolist()], encode)) for rows, cache in parts]
        result = np.empty((len(texts), self._kept.width), found[0][1].dtype)
        for rows, vectors in found:
            result[rows] = vectors
        return result


def _check(key: bytes, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(key))
