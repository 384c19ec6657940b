"""Detect a file's character encoding: UTF-8, UTF-16, GB18030 or Windows-1252."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from functools import partial

from rung.core.errors import DataError
from rung.data.sources.files import File

_SAMPLE = 1 << 16
# Longer lines are looked at in pieces of this many bytes.
_PIECE = 1 << 22
_FIX = "Save the file as UTF-8, or name its encoding: `data: {encoding: gb18030}`."
_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FORMATS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3\0", "an SQLite database"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v"))


@dataclass(frozen=True)
class Encoding:
    """name: a Python codec. mixed: some rows may not decode; they are read one by one and quarantined."""

    name: str
    mixed: bool = False


def detect(file: File) -> Encoding:
    """Return the encoding of a text file; raises DataError when it is binary or no encoding fits."""
    with file.open() as stream:
        sample = stream.read(_SAMPLE)
    mark = _by_mark(sample)
    if mark == "utf-8-sig":
        return Encoding(mark) if _decodes(file, "utf-8") else Encoding("utf-8", mixed=True)
    name = mark or _utf16_without_mark(sample)
    if name:
        return Encoding(name)
    _refuse_binary(sample, file.name)
    return Encoding("utf-8") if _decodes(file, "utf-8") else _by_line(file)


def decode(data: bytes) -> str | None:
    """Return the text of a small file of its own (one document); None when no encoding fits."""
    marked = _by_mark(data) or _utf16_without_mark(data)
    candidates = [marked or "utf-8"]
    if not marked and b"\0" not in data:
        candidates += ["gb18030"] if _looks_chinese(data) else []
        candidates += ["cp1252"] if _looks_western(data) else []
    for name in candidates:
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return None


def _by_mark(sample: bytes) -> str | None:
    return next((name for mark, name in _MARKS if sample.startswith(mark)), None)


def _refuse_binary(sample: bytes, where: str) -> None:
    for magic, what in _FORMATS:
        if sample.startswith(magic):
            raise DataError(f"this is {what}, not a text file", where, "Export the table as CSV in UTF-8.")
    # A stray control character or two is a damaged row, which is quarantined; many are another format.
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > max(2, 0.01 * len(sample)):
        raise DataError(
            f"this is not a text file: {controls:,} of its first {len(sample):,} bytes are control characters",
            where,
            "Export the table as CSV in UTF-8.",
        )


def _utf16_without_mark(sample: bytes) -> str | None:
    """Return utf-16-le or -be when ASCII signs stand as that encoding writes them: with a zero byte each."""
    zeros = sample.count(0)
    if not zeros:
        return None
    if zeros < 0.1 * len(sample) and _begins_as(sample, "utf-8") is not None:
        return None  # UTF-8 with a stray zero byte; Chinese in UTF-16 has few zeros, but is no UTF-8.
    texts = {name: _begins_as(sample, name) or "" for name in ("utf-16-le", "utf-16-be")}
    # Read the wrong way round, ASCII signs become others: a line end, for one, a letter that does not exist.
    name = max(texts, key=lambda name: sum(map(str.isascii, texts[name])))
    text = texts[name]
    if not text:
        return None
    if len(sample) >= _SAMPLE and not ("\n" in text or "\r" in text):
        return None
    strange = sum(
        unicodedata.category(char)[0] == "C" for char in text if char not in "\r\n\t\u200b\u200d\ufeff"
    )
    return name if strange <= 0.01 * len(text) else None


def _begins_as(sample: bytes, name: str) -> str | None:
    """Return a sample as text, the last character perhaps cut; None when it does not decode."""
    try:
        return codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return None


def _decodes(file: File, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        with file.open() as stream:
            while piece := stream.read(_PIECE):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _looks_chinese(data: bytes) -> bool:
    """Return whether bytes read as GB18030 give words of Chinese.

    Western text read so gives single ideographs inside words: 0xF6 0xDF is an ideograph, and the "öß" of "größer".
    """
    text = data[:_PIECE].decode("gb18030", errors="ignore")
    together = alone = 0
    for run in re.finditer(r"[^\x00-\x7f]+", text):
        length = run.end() - run.start()
        beside = text[max(run.start() - 1, 0) : run.start()] + text[run.end() : run.end() + 1]
        if length == 1 and any(char.isalpha() for char in beside):
            alone += 1
        else:
            together += length
    return together > 2 * alone


def _looks_western(data: bytes) -> bool:
    """Return whether the fewer bytes, those above ASCII, are letters, quotes or signs of Windows-1252."""
    high = [byte for byte in data if byte >= 0x80]
    return bool(high) and len(high) <= 0.4 * len(data) and not {0x81, 0x8D, 0x8F, 0x90, 0x9D} & set(high)


def _by_line(file: File) -> Encoding:
    """Return the encoding that most lines beyond ASCII are in; the others will be quarantined.

    UTF-8 is asked first: hardly a Chinese or Western line is UTF-8 by accident, but UTF-8 may well be GB18030.
    """
    lines = utf8 = chinese = western = undecodable = 0
    with file.open() as stream:
        for line in iter(partial(stream.readline, _PIECE), b""):
            if line.isascii():
                continue
            lines += 1
            western += _looks_western(line[:1000])
            utf8 += _is(line, "utf-8")
            if not _is(line, "gb18030"):
                undecodable += 1
            elif _looks_chinese(line):
                chinese += 1
    if utf8 >= 0.5 * lines:
        return Encoding("utf-8", mixed=True)
    if chinese >= 0.5 * lines:
        return Encoding("gb18030", mixed=undecodable > 0)
    if western >= 0.5 * lines:
        return Encoding("cp1252", mixed=True)
    raise DataError("no character encoding fits this file", file.name, _FIX)


def _is(line: bytes, name: str) -> bool:
    try:
        line.decode(name)
    except UnicodeDecodeError:
        return False
    return True
