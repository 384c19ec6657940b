"""Ours, with everything on, under granian in the place of uvicorn: `serve_granian.py BUNDLE PORT FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from granian import Granian


def make() -> Any:
    """Return the application as `rung serve` makes it."""
    import rung
    from rung.core.logs import log_to_stderr
    from rung.core.spec.serve import ServeSpec
    from rung.journal.writer import Journal
    from rung.serving.http.api_keys import KeyStore
    from rung.serving.http.app import create_app
    from rung.serving.service import Service

    folder = Path(os.environ["SERVICE"])
    service = Service(
        limits=ServeSpec(), keys=KeyStore(folder), journal=Journal(folder), folder=folder, watch=True
    )
    log_to_stderr()
    return create_app([rung.load(os.environ["BUNDLE"])], True, service)


if __name__ == "__main__":
    os.environ["BUNDLE"], os.environ["SERVICE"] = sys.argv[1], sys.argv[3]
    Granian(
        "workers.serve_granian:make", factory=True, interface="asgi", port=int(sys.argv[2]), workers=1, log_access=False
    ).serve()  # fmt: skip
