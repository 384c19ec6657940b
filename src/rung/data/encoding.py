"""Tell which character encoding a file is in: UTF-8, UTF-16, GB18030, else Windows-1252, else none."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from rung.core.errors import DataError

_SAMPLE = 1 << 16
_FIX = "Save the file as UTF-8, or name its encoding: `data: {encoding: gb18030}`."


@dataclass(frozen=True)
class Encoding:
    """name: a Python codec. mixed: some lines do not decode; they are read one by one and quarantined."""

    name: str
    mixed: bool = False


def detect(path: Path) -> Encoding:
    """Return the encoding of a text file; raises DataError when it is binary or no encoding fits."""
    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
    by_mark = _by_mark(sample)
    if by_mark:
        return by_mark
    if b"\0" in sample:
        guess = _utf16_without_mark(sample)
        if guess is None:
            raise DataError(
                "this is not text: it holds zero bytes", path.name, "Export the table as CSV in UTF-8."
            )
        return Encoding(guess)
    if _decodes(path, "utf-8"):
        return Encoding("utf-8")
    if _decodes(path, "gb18030") and _looks_chinese(path):
        return Encoding("gb18030")
    return _by_line(path)


def decode(data: bytes) -> str | None:
    """Return the text of a small file of its own (one document); None when no encoding fits."""
    by_mark = _by_mark(data)
    candidates = [by_mark.name] if by_mark else ["utf-8"]
    if not by_mark and _pairs_look_chinese(data):
        candidates.append("gb18030")
    if not by_mark and _looks_western(data):
        candidates.append("cp1252")
    for name in candidates:
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return None


def _by_mark(sample: bytes) -> Encoding | None:
    if sample.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8-sig")
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Encoding("utf-16")
    return None


def _utf16_without_mark(sample: bytes) -> str | None:
    """Return utf-16-le or -be when line ends, blanks and ASCII stand where that encoding puts them."""
    sample = sample[: len(sample) // 2 * 2]
    zeros_even, zeros_odd = sample[0::2].count(0), sample[1::2].count(0)
    name = "utf-16-le" if zeros_odd > zeros_even else "utf-16-be"
    if min(zeros_even, zeros_odd) > max(zeros_even, zeros_odd) * 0.05:
        return None
    try:
        text = sample.decode(name, errors="ignore")
    except UnicodeDecodeError:
        return None
    strange = sum(not (char.isprintable() or char in "\r\n\t") for char in text)
    return name if strange <= len(text) * 0.01 else None


def _decodes(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 22):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _looks_chinese(path: Path) -> bool:
    with path.open("rb") as file:
        return _pairs_look_chinese(file.read(1 << 22))


def _pairs_look_chinese(data: bytes) -> bool:
    """Return whether high bytes come in pairs, as in Chinese; in Western text a lone one meets ASCII letters."""
    high = [byte >= 0xA1 for byte in data[: 1 << 20]]
    pairs = alone = index = 0
    while index < len(high):
        if high[index]:
            if index + 1 < len(high) and high[index + 1]:
                pairs += 1
                index += 1
            else:
                alone += 1
        index += 1
    return pairs > 4 * alone


def _looks_western(data: bytes) -> bool:
    """Return whether the few bytes above ASCII are letters, quotes or signs of Windows-1252."""
    high = [byte for byte in data if byte >= 0x80]
    return bool(high) and len(high) <= 0.2 * len(data) and not {0x81, 0x8D, 0x8F, 0x90, 0x9D} & set(high)


def _by_line(path: Path) -> Encoding:
    """Return the encoding that most lines beyond ASCII are in; the others will be quarantined."""
    fits = {"utf-8": 0, "gb18030": 0}
    lines = 0
    strange = bytearray()
    with path.open("rb") as file:
        for line in file:
            if line.isascii():
                continue
            lines += 1
            strange += line[:200] if len(strange) < 1 << 20 else b""
            for name in fits:
                try:
                    line.decode(name)
                except UnicodeDecodeError:
                    continue
                fits[name] += name == "utf-8" or _pairs_look_chinese(line)
    best = max(fits, key=lambda name: fits[name])
    if fits[best] >= 0.5 * lines:
        return Encoding(best, mixed=True)
    if _looks_western(bytes(strange)):
        return Encoding("cp1252")
    raise DataError("no character encoding fits this file", path.name, _FIX)
