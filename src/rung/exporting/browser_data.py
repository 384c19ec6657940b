"""What the JavaScript of a browser export must know of this Python's Unicode, and the files of a bundle as a script."""

from __future__ import annotations

import base64
import html
import html.entities
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rung.modalities.text.ngrams import char_classes

# Private parts of `html`: what `html.unescape` makes of &#128; and the like. Listed by the HTML standard.
_REFERENCES = {
    0x00: "\ufffd", 0x0D: "\r", 0x80: "\u20ac", 0x81: "\x81", 0x82: "\u201a", 0x83: "\u0192", 0x84: "\u201e", 0x85: "\u2026",
    0x86: "\u2020", 0x87: "\u2021", 0x88: "\u02c6", 0x89: "\u2030", 0x8A: "\u0160", 0x8B: "\u2039", 0x8C: "\u0152", 0x8D: "\x8d",
    0x8E: "\u017d", 0x8F: "\x8f", 0x90: "\x90", 0x91: "\u2018", 0x92: "\u2019", 0x93: "\u201c", 0x94: "\u201d", 0x95: "\u2022",
    0x96: "\u2013", 0x97: "\u2014", 0x98: "\u02dc", 0x99: "\u2122", 0x9A: "\u0161", 0x9B: "\u203a", 0x9C: "\u0153", 0x9D: "\x9d",
    0x9E: "\u017e", 0x9F: "\u0178",
}  # fmt: skip


@cache
def unicode_script() -> str:
    """Return the tables as the value of a JavaScript constant, in ASCII."""
    numbers = range(0x110000 + 16)
    invalid = [n for n in numbers if n not in _REFERENCES and n < 0xD800 and html.unescape(f"&#{n};") == ""]
    invalid += [n for n in numbers if 0xDFFF < n <= 0x10FFFF and html.unescape(f"&#{n};") == ""]
    tables = {
        "version": unicodedata.unidata_version,
        "unassigned": list(
            _gaps(code for code in range(0x110000) if unicodedata.category(chr(code)) == "Cn")
        ),
        "classes": list(_runs(char_classes().tolist())),
        "references": _REFERENCES,
        "invalid": invalid,
        "entities": dict(html.entities.html5),
    }
    return json.dumps(tables, separators=(",", ":"))


def packed_script(about: dict[str, Any], folder: Path, names: Iterable[str]) -> str:
    """Return the files of a model as a script that sets RUNG_MODEL: JSON as it is, tensors in base64."""
    content: dict[str, Any] = {"about": about, "json": {}, "tensors": {}}
    for name in names:
        path = folder / name
        if path.suffix == ".json":
            content["json"][name] = json.loads(path.read_text(encoding="utf-8"))
        else:
            content["tensors"][name] = base64.b64encode(path.read_bytes()).decode()
    return f"globalThis.RUNG_MODEL = {json.dumps(content, separators=(',', ':'))};\n"


def python_unicode() -> str:
    """Return which Python and Unicode the text of an export is folded by."""
    return f"Python {sys.version_info[0]}.{sys.version_info[1]}, Unicode {unicodedata.unidata_version}"


def _gaps(codes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield [distance from the end of the run before, length] of each run of consecutive numbers."""
    found = np.fromiter(codes, np.int64)
    breaks = np.flatnonzero(np.diff(found) != 1) + 1
    end = 0
    for run in np.split(found, breaks):
        if len(run):
            yield int(run[0]) - end, len(run)
            end = int(run[-1]) + 1


def _runs(values: list[int]) -> Iterator[tuple[int, int]]:
    """Yield [length, value] of each run of equal values."""
    array = np.asarray(values)
    edges = [0, *(np.flatnonzero(np.diff(array)) + 1).tolist(), len(array)]
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        yield end - begin, int(array[begin])
