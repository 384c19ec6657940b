"""Answers of a service by model and row, as lines of JSON: what was paid for once is never asked again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.answers import answer_from_json, answer_to_json
from rung.core.blobs import Blob
from rung.core.files import sha256
from rung.core.types import Prediction


@dataclass(frozen=True)
class CachedAnswer:
    """An answer and what its call took. together: rows of that call; its seconds are shared evenly among them."""

    answer: Prediction
    seconds: float
    cpu_seconds: float
    together: int = 1


class ResponseCache:
    """A file that is only appended to; several processes may read it, and each sees what others have added.

    A line that a crash cut short is skipped. Rows are told by their hash: their text is not in the file. dearest: the
    highest charge so far, USD. singles: answers to rows that were asked alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, CachedAnswer] = {}
        self._read_bytes = 0
        self.dearest: float | None = None
        self.singles = 0
        self._refresh()

    def get(self, key: str) -> CachedAnswer | None:
        """Return the answer of a key, None when it was never asked."""
        if key not in self._found:
            self._refresh()
        return self._found.get(key)

    def all(self) -> list[CachedAnswer]:
        """Return every answer."""
        self._refresh()
        return list(self._found.values())

    def add(self, answers: Iterable[tuple[str, CachedAnswer]]) -> None:
        """Write answers that were just given."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [_line(key, cached) for key, cached in answers]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(lines))
        self._refresh()

    def _refresh(self) -> None:
        """Read the whole lines that were added since the last time."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._read_bytes)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            try:
                raw = json.loads(line)
                cached = CachedAnswer(
                    answer_from_json(json.dumps(raw["answer"])),
                    raw["seconds"],
                    raw["cpu_seconds"],
                    raw["together"],
                )
            except (ValueError, KeyError, TypeError):
                continue
            self._found[raw["key"]] = cached
            self.dearest = max(self.dearest or 0.0, cached.answer.cost)
            self.singles += cached.together == 1


def model_key(folder: Path) -> str:
    """Return what a saved model is told by: the hash of its files. A copy of the folder has the same."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [[path.relative_to(folder).as_posix(), sha256(path)] for path in files]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def row_key(model: str, row: Mapping[str, Any]) -> str:
    """Return what a row of one model is told by: equal for equal inputs, whatever process holds them."""
    text = json.dumps([model, {name: _plain(value) for name, value in row.items()}], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Return a cell as JSON holds it: numbers alike whatever their type, media by their content, NaN as missing."""
    if isinstance(value, Blob):
        return {"sha256": value.sha256}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return None if value != value else float(value)
    return value


def _line(key: str, cached: CachedAnswer) -> str:
    raw = {
        "key": key, "seconds": round(cached.seconds, 6), "cpu_seconds": round(cached.cpu_seconds, 6),
        "together": cached.together, "answer": json.loads(answer_to_json(cached.answer)),
    }  # fmt: skip
    return json.dumps(raw) + "\n"
