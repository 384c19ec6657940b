"""The list of excluded rows: file, row number, hash and reason, never the text."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self


class Quarantine:
    """Writes quarantine.jsonl. counts: rows by reason."""

    def __init__(self, path: Path) -> None:
        self.counts: Counter[str] = Counter()
        self._file = path.open("w", encoding="utf-8")

    def add(self, file: str, row: int, problem: str, row_hash: int) -> None:
        """List one row. problem: "reason: detail"; row_hash: `hash64` of its folded text, or of the raw row."""
        reason, _, detail = problem.partition(": ")
        self.counts[reason] += 1
        line = {"file": file, "row": row, "reason": reason, "detail": detail, "hash": f"{row_hash:016x}"}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def join(self, other: Path) -> None:
        """Append the rows that another list holds."""
        with other.open(encoding="utf-8") as lines:
            for line in lines:
                self.counts[json.loads(line)["reason"]] += 1
                self._file.write(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
