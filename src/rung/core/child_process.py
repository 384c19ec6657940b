"""The environment of a Python process that this one starts: what it finds, and the threads that its libraries take."""

from __future__ import annotations

import os
import sys

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def child_environment(threads: int = 1) -> dict[str, str]:
    """Return the environment of a child process: it finds rung and plugins where this process found them.

    threads: of its numerical libraries.
    """
    # Also those only on sys.path.
    found = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "PYTHONPATH": found, "PYTHONUTF8": "1"}
