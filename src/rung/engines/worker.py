"""A process that runs the jobs of its parent: `python -m rung.engines.worker`.

Jobs come on standard input, answers go to standard output. What jobs print goes to standard error. The process ends when its
parent does, even in the middle of a job.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from typing import IO, Any

from rung.engines.frames import receive, send


def main() -> None:
    """Answer jobs until standard input is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent hears it too, and decides.
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(jobs, waiting), daemon=True).start()
    while True:
        fn, job = pickle.loads(waiting.get())  # noqa: S301 - from the parent alone
        send(answers, _answer(fn, job))


def _listen(jobs: IO[bytes], waiting: queue.SimpleQueue[Any]) -> None:
    """Hand on jobs; the end of the parent ends this process at once, whatever it computes."""
    while True:
        try:
            waiting.put(receive(jobs))
        except (EOFError, OSError):
            os._exit(0)


def _answer(fn: Any, job: Any) -> bytes:
    """Return (result, None, "") or (None, error, its traceback), pickled."""
    try:
        return pickle.dumps((fn(job), None, ""))
    except BaseException as error:
        text = traceback.format_exc()
        try:
            return pickle.dumps((None, error, text))
        except Exception:  # An error that holds what cannot travel.
            return pickle.dumps((None, RuntimeError(repr(error)), text))


if __name__ == "__main__":
    main()
