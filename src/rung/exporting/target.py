"""What every target of an export has in common: its interface, a check, and what the machine of a check is."""

from __future__ import annotations

import keyword
import platform
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.core.errors import RungError
from rung.exporting.agreement import Agreement
from rung.exporting.source import Rows, Source

# Instruction sets that numeric code is written for, as Linux names them.
_FEATURES = frozenset(
    ["sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "asimd", "asimddp", "sve",
     "sve2", "i8mm", "bf16"]
)  # fmt: skip


class ExportRefused(RungError):
    """A bundle that a target cannot hold."""


@dataclass(frozen=True)
class Check:
    """One place in which an export answered the rows.

    where: such as "Node.js". versions: of what ran it. milliseconds: an answer, in the middle of the rows, one after the
    other in that place; 0 where it was not measured.
    """

    where: str
    versions: str
    agreement: Agreement
    milliseconds: float = 0.0
    cpu: str = field(default_factory=lambda: cpu_name())
    features: Sequence[str] = field(default_factory=lambda: cpu_features())

    def as_dict(self) -> dict[str, Any]:
        """Return the check for JSON."""
        return {
            "where": self.where, "versions": self.versions, "cpu": self.cpu, "cpu_features": list(self.features),
            **self.agreement.as_dict(), "milliseconds": round(self.milliseconds, 4),
        }  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A place to export to.

    write: writes files into an empty folder, or raises ExportRefused before it writes any; returns notes for the report, as
    (key, values) of messages. check: lets these files answer rows; [] where nothing here can run them, with the reason in
    the notes of `write`.
    """

    name: str
    write: Callable[[Source, Path], Sequence[Note]]
    check: Callable[[Source, Path, Rows], Sequence[Check]]


@dataclass(frozen=True)
class Note:
    """A message `export.note.KEY` with its values."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key, **self.values}


def identifier(name: str) -> str:
    """Return a product's name as the name of a module or of a C function that nothing else has."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII).lower().strip("_")
    if not found or not found[0].isalpha() or keyword.iskeyword(found) or found in sys.stdlib_module_names:
        found = f"product_{found}".rstrip("_")
    return found


def cpu_features() -> list[str]:
    """Return the instruction sets of this processor that numeric code is written for; [] where they are not readable."""
    for line in _cpu_lines():
        name, _, words = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            return sorted(_FEATURES & set(words.split()))
    return []


def cpu_name() -> str:
    """Return the processor's name and architecture."""
    for line in _cpu_lines():
        name, _, words = line.partition(":")
        if name.strip() == "model name":
            return f"{words.strip()} ({platform.machine()})"
    return platform.machine()


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
