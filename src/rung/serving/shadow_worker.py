"""The process a challenger in shadow lives in: what it does, however slow or wrong, cannot hold up the server.

Run by `serve.shadow` as `python -m rung.serving.shadow_worker BUNDLE ROWS`, at the lowest priority. It reads frames from
standard input: a line of JSON with two lengths, the body of a request, the answer that the champion gave. A line of JSON
comes back for each, and one at the start: {"version": ...}, or {"failed": ...}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from typing import Any, BinaryIO

from rung.core.errors import RungError
from rung.serving.http.schemas import request_rows
from rung.serving.model_registry import LoadedModel
from rung.serving.predictor import open_bundle

REFUSED, FAILED = "refused", "failed"


def compare_answers(loaded: LoadedModel, body: bytes, answer: bytes, max_rows: int) -> dict[str, Any]:
    """Return what a challenger answers to a request: {"rows": [...], "cpu_s": ...}, a row an answer of the champion.

    A row has `id`, `output` (None where it did not answer), `same` (None where that is no question of equality) and
    `error`. Rows that the champion could not answer are left out.
    """
    given = json.loads(answer)["predictions"]
    started = time.process_time()
    try:
        asked = request_rows(loaded.request.model_validate_json(body), max_rows, False)
        own = list(loaded.predictor.respond(asked, answered_by=True))
    except Exception as error:
        # Whatever it is, it is the challenger's fault, and counted. Its message may quote an input: its kind does not.
        own = [{"error": REFUSED if isinstance(error, RungError | ValueError) else FAILED}] * len(given)
    seconds = time.process_time() - started
    if len(own) != len(given):
        own = [{"error": FAILED}] * len(given)
    of_numbers = loaded.manifest.schema.outputs[0].kind == "number"
    rows = []
    for mine, his in zip(own, given, strict=True):
        if "error" in his:
            continue
        row: dict[str, Any] = {"id": his["id"], "output": None, "same": None, "error": ""}
        if "error" in mine:
            row["error"] = mine["error"] if mine["error"] in {REFUSED, FAILED} else REFUSED
        else:
            row["output"] = mine
            if not of_numbers:
                # A task's answer stands first.
                row["same"] = next(iter(mine.values())) == next(iter(his.values()))
        rows.append(row)
    return {"rows": rows, "cpu_s": seconds}


def run_worker(source: BinaryIO, sink: BinaryIO, bundle: str, max_rows: int) -> None:
    """Answer frames until there are no more."""
    try:
        loaded = LoadedModel(open_bundle(bundle), max_rows)
        loaded.predictor.selftest()  # The first answer of a model takes longest: this one is nobody's.
        _write_line(sink, {"version": loaded.manifest.version})
    except Exception as error:
        _write_line(sink, {"failed": type(error).__name__})
        return
    while head := source.readline():
        sizes = json.loads(head)
        body, answer = source.read(sizes["body"]), source.read(sizes["answer"])
        _write_line(sink, compare_answers(loaded, body, answer, max_rows))


def _write_line(sink: BinaryIO, said: dict[str, Any]) -> None:
    sink.write(json.dumps(said, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n")
    sink.flush()


def main() -> None:
    """Serve one server, and end with it."""
    if hasattr(os, "nice"):
        os.nice(19)
    # Models may print; what is said to the server must not be mixed with that.
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError, KeyboardInterrupt):
        run_worker(sys.stdin.buffer, sink, sys.argv[1], int(sys.argv[2]))


if __name__ == "__main__":
    main()
