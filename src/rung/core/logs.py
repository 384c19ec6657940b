"""Structured JSON logs on standard error; inputs and keys are never logged."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from contextlib import suppress
from typing import Any, TextIO

LOGGER = logging.getLogger("rung.serving")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; `extra={"facts": {...}}` adds keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "facts", {})
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            # The message of an error may quote an input; its kind and place never do.
            frames = traceback.extract_tb(error.__traceback__)[-4:]
            line["error"] = type(error).__name__
            line["trace"] = [f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames]
        return json.dumps(line, ensure_ascii=False, default=str)


class _Requests:
    """Where the lines of requests go: one each, so they are put together by hand; everything else asks `logging`."""

    stream: TextIO | None = None
    _second = (0, "")

    def at(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return f"{self._second[1]}.{int((now - second) * 1000):03d}Z"


_REQUESTS = _Requests()


def log_request(
    request_id: str, method: str, endpoint: str, status: int, seconds: float, caller: str
) -> None:
    """Write the line of a request. No argument holds anything that JSON would have to escape."""
    stream, ms = _REQUESTS.stream, round(seconds * 1000, 3)
    if stream is None:
        log("request", request_id=request_id, method=method, endpoint=endpoint, status=status, ms=ms, caller=caller)  # fmt: skip
        return
    line = (
        f'{{"at": "{_REQUESTS.at()}", "level": "info", "event": "request", "request_id": "{request_id}", "method": "{method}", '
        f'"endpoint": "{endpoint}", "status": {status}, "ms": {ms}, "caller": "{caller}"}}\n'
    )
    # Who read it may have gone: the answer is worth more than its line.
    with suppress(OSError, ValueError):
        stream.write(line)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send our log and the server's there as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    _REQUESTS.stream = sys.stderr
    for name in ("rung.serving", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = (
            [handler] if name != "uvicorn.error" else [],
            name == "uvicorn.error",
        )
        logger.setLevel(level)


def log(event: str, level: int = logging.INFO, **facts: Any) -> None:
    """Write one event with its facts."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, event, extra={"facts": facts})
