"""Open a source file, decompressing it while it is read, with limits against decompression bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import IO, Any, BinaryIO, cast

from rung.core.errors import DataError, MissingExtra

# What unpacks to more than both is taken for a decompression bomb.
MOST_UNPACKED, MOST_TIMES = 1 << 30, 200
_BUFFER = 1 << 18
# The tightest packing, `xz -9`, needs 65 MiB to unpack; a file may claim it needs 4 GiB.
_MOST_XZ_MEMORY = 1 << 28
_PACKED = {".gz", ".bz2", ".xz", ".zst", ".zip"}
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, NotImplementedError)


@dataclass(frozen=True)
class File:
    """A file to read. name: as people know it. `tickets.csv.gz` has the suffix .csv and the packing .gz."""

    path: Path
    name: str

    @property
    def packing(self) -> str:
        suffix = PurePath(self.name).suffix.lower()
        return suffix if suffix in _PACKED else ""

    @property
    def suffix(self) -> str:
        """Return the ending that tells the format; of a zip archive, its member's."""
        if self.packing == ".zip":
            with zipfile_of(self) as archive:
                return PurePath(_member(archive, self.name).filename).suffix.lower()
        return PurePath(PurePath(self.name).stem if self.packing else self.name).suffix.lower()

    def absolute(self) -> File:
        """Return the file by a path that holds in another process too."""
        return replace(self, path=self.path.resolve())

    def open(self) -> BinaryIO:
        """Return its unpacked bytes; reading on raises DataError when they are damaged or far too many."""
        if not self.packing:
            return self.path.open("rb")
        raw = _Unpacking(_OPENERS[self.packing](self), self.name, self.path.stat().st_size)
        return cast(BinaryIO, io.BufferedReader(raw, _BUFFER))

    @contextmanager
    def text(self, encoding: str) -> Iterator[IO[str]]:
        """Yield its text, line ends as they stand."""
        with self.open() as binary, io.TextIOWrapper(binary, encoding, newline="") as file:
            yield file


@contextmanager
def zipfile_of(file: File) -> Iterator[zipfile.ZipFile]:
    """Yield the archive that a file on disk is; raises DataError when it is none."""
    try:
        archive = zipfile.ZipFile(file.path)
    except zipfile.BadZipFile:
        raise DataError("this is not a zip archive, or a damaged one", file.name, "Pack it again.") from None
    with archive:
        yield archive


class _Unpacking(io.RawIOBase):
    """Counts what comes out of a packed file, and says in words when that is damaged or a bomb."""

    def __init__(self, file: IO[bytes], name: str, packed: int) -> None:
        super().__init__()
        self._file, self._name = file, name
        self._place = 0
        self._most = max(MOST_UNPACKED, MOST_TIMES * packed)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._in_words():
            self._place = self._file.seek(offset, whence)
        self._refuse_bombs()
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        with self._in_words():
            piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        self._place += len(piece)
        self._refuse_bombs()
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except RuntimeError as error:  # What zipfile raises for a member that needs a password.
            raise DataError(
                f"it cannot be unpacked: {str(error).split(',')[0]}", self._name, "Unpack it yourself."
            ) from None
        except _DAMAGE as error:
            reason = str(error).rstrip(".").casefold() or type(error).__name__
            fix = "Fetch or pack it again: what can be unpacked of it is not all."
            raise DataError(f"it is cut off or damaged: {reason}", self._name, fix) from None

    def _refuse_bombs(self) -> None:
        if self._place > self._most:
            raise DataError(
                f"it unpacks to more than {self._most:,} bytes, more than {MOST_TIMES} times its size",
                self._name,
                "That is how decompression bombs look. If you trust it, unpack it and name the unpacked file.",
            )


def _open_zst(file: File) -> IO[bytes]:
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtra("reading .zst files", "build", "pyarrow") from None
    return cast(IO[bytes], pa.input_stream(str(file.path), compression="zstd"))


def _open_gz(file: File) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(file.path))


def _open_xz(file: File) -> IO[bytes]:
    try:
        with file.path.open("rb") as packed:
            lzma.LZMADecompressor(memlimit=_MOST_XZ_MEMORY).decompress(packed.read(1 << 16), max_length=1)
    except lzma.LZMAError as error:
        reason = str(error).casefold()
        raise DataError(f"it cannot be unpacked: {reason}", file.name, "Pack it again.") from None
    return lzma.LZMAFile(file.path)


def _open_zip(file: File) -> IO[bytes]:
    archive = zipfile.ZipFile(file.path)
    # The open member keeps the file open on its own.
    with archive:
        try:
            return archive.open(_member(archive, file.name))
        except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
            reason = "it needs a password" if "password" in str(error) else str(error).casefold()
            raise DataError(f"it cannot be unpacked: {reason}", file.name, "Unpack it yourself.") from None


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Return the one file of an archive, what macOS adds not counted."""
    found = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    if len(found) != 1:
        count = f"{len(found):,} files" if found else "no file"
        raise DataError(
            f"the archive holds {count}, and one table is read",
            name,
            'Unpack it, and name the file, or all of them with a pattern: `path: "folder/*.csv"`.',
        )
    return found[0]


_OPENERS: dict[str, Callable[[File], IO[bytes]]] = {
    ".gz": _open_gz,
    ".bz2": lambda file: bz2.BZ2File(file.path),
    ".xz": _open_xz,
    ".zst": _open_zst,
    ".zip": _open_zip,
}
