"""Drive a headless Chromium over its debugging pipe: open a page from the disk, and await what an expression becomes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from rung.core.errors import RungError

_READ_AT_ONCE = 1 << 16


class HeadlessChromium:
    """A browser with a profile of its own, one page at a time; a context manager.

    The protocol goes over two pipes, so that no port is opened and nothing needs to be installed.
    """

    def __init__(self, command: str, timeout_s: float) -> None:
        """timeout_s: of one page."""
        self._command, self._timeout_s = command, timeout_s
        self._unread, self._number = b"", 0

    def __enter__(self) -> Self:
        self._profile = TemporaryDirectory(prefix="rung-chromium-", ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser takes its end as the descriptors 3 and 4, which the shell gives it.
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={self._profile.name}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, self._command, *arguments], pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    @property
    def pid(self) -> int:
        """Return the browser's process."""
        return self._process.pid

    def value(self, page: Path, expression: str) -> Any:
        """Return what an expression, or the promise that it is, becomes in a page; raises RungError where it fails."""
        self._until = time.monotonic() + self._timeout_s
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        self._call("Page.enable", {}, session)
        self._call("Page.navigate", {"url": page.as_uri()}, session)
        while self._next().get("method") != "Page.loadEventFired":
            pass
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        found = self._call("Runtime.evaluate", asked, session)
        self._call("Target.closeTarget", {"targetId": target})
        if "exceptionDetails" in found:
            thrown = found["exceptionDetails"]
            said = thrown.get("exception", {}).get("description") or thrown.get("text", "")
            raise _failed(str(said)[:800])
        return found["result"].get("value")

    def _call(self, method: str, params: dict[str, Any], session: str = "") -> Any:
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params} | (
            {"sessionId": session} if session else {}
        )
        try:
            os.write(self._out, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise _failed("it ended") from None
        while (answer := self._next()).get("id") != number:
            pass
        if "error" in answer:
            raise _failed(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        """Return the next message of the browser; each ends with a zero byte."""
        pieces = [self._unread]
        while b"\0" not in pieces[-1]:
            ready, _, _ = select.select([self._in], [], [], max(self._until - time.monotonic(), 0.0))
            if not ready:
                raise _failed(f"it took more than {self._timeout_s:.0f} s")
            piece = os.read(self._in, _READ_AT_ONCE)
            if not piece:
                raise _failed("it ended")
            pieces.append(piece)
        message, _, self._unread = b"".join(pieces).partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


def _failed(reason: str) -> RungError:
    return RungError(f"the page failed in Chromium: {reason}", "", "Set CHROME to another browser.")
