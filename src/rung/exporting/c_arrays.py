"""Constants of C99: arrays of numbers and words, every bit kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_LINE = 130


def double(value: float) -> str:
    """Return a constant of type double."""
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    # Short numbers as people write them, where they are exact; the others in hexadecimal, which always is.
    short = f"{value:.6g}"
    if float(short) == value:
        return short if any(mark in short for mark in ".en") else f"{short}.0"
    return float(value).hex()


def single(value: float) -> str:
    """Return a constant of type float."""
    found = double(float(value))
    return found if found.endswith(("NAN", "INFINITY")) else f"{found}f"


def text(value: str) -> str:
    """Return a string of UTF-8 bytes; what is not printable ASCII is written in octal."""
    out = []
    for byte in value.encode("utf-8", "surrogatepass"):
        char = chr(byte)
        out.append(char if 32 <= byte < 127 and char not in '"\\?' else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def array(kind: str, name: str, items: Iterable[str]) -> str:
    """Return the definition of a constant array; C has none without elements, so an empty one holds a zero."""
    listed = list(items) or ["0"]
    lines, line = [], " "
    for item in listed:
        if len(line) + len(item) > _LINE:
            lines.append(line)
            line = " "
        line += f" {item},"
    return "\n".join([f"static const {kind}{name}[{len(listed)}] = {{", *lines, line.rstrip(","), "};"])


def doubles(name: str, values: npt.ArrayLike) -> str:
    """Return the definition of an array of doubles."""
    return array("double ", name, map(double, np.asarray(values, np.float64).ravel().tolist()))


def singles(name: str, values: npt.ArrayLike) -> str:
    """Return the definition of an array of floats."""
    return array("float ", name, map(single, np.asarray(values, np.float32).ravel().tolist()))


def integers(name: str, values: npt.ArrayLike) -> str:
    """Return the definition of an array of ints."""
    return array("int ", name, map(str, np.asarray(values, np.int64).ravel().tolist()))


def hashes(name: str, values: Sequence[int]) -> str:
    """Return the definition of an array of 64-bit numbers."""
    return array("uint64_t ", name, (f"UINT64_C(0x{value:016x})" for value in values))


def words(name: str, values: Sequence[str]) -> str:
    """Return the definition of an array of strings."""
    return array("char *const ", name, map(text, values))


def pointers(kind: str, name: str, values: Sequence[str]) -> str:
    """Return the definition of an array of addresses of arrays."""
    return array(f"{kind} *const ", name, values)


def filled(template: str, **values: Any) -> str:
    """Return a template with each @NAME@ replaced."""
    for key, value in values.items():
        template = template.replace(f"@{key}@", str(value))
    return template
