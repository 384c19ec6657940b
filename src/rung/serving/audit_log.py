"""The audit log: who changed what in a service folder, one JSON line per action in `audit.jsonl`, append-only."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from rung.core.files import writing

NAME = "audit.jsonl"


def record(folder: Path, actor: str, action: str, target: str, **facts: Any) -> None:
    """Append one line and fsync it. actor: a key's name, or `command line`. facts: must not contain secrets."""
    line = {"at": round(time.time(), 3), "actor": actor, "action": action, "target": target, **facts}
    data = (json.dumps(line, ensure_ascii=False, default=str) + "\n").encode("utf-8", "backslashreplace")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # A single append write, so that lines of several processes do not interleave.
            os.write(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
