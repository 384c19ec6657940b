"""The subprocess of a challenger in shadow, which isolates the server from its errors and delays.

Started by `serving.shadow` as `python -m rung.serving.shadow_worker BUNDLE ROWS`, at the lowest priority. It reads frames
from standard input: a line of JSON with the content type and two lengths, the body of a request, the champion's response. It writes one line
of JSON per frame, and one at the start: {"version": ...} or {"failed": ...}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from typing import Any, BinaryIO

from rung.core.errors import RungError
from rung.serving.http.request_body import RequestBody
from rung.serving.model_registry import LoadedModel
from rung.serving.predictor import open_bundle

REFUSED, FAILED = "refused", "failed"


def compare_answers(loaded: LoadedModel, body: RequestBody, answer: bytes) -> dict[str, Any]:
    """Return a challenger's answers to a request: {"rows": [...], "cpu_s": ...}, one row per answer of the champion.

    A row has `id`, `output` (None without an answer), `same` (None for numbers, which are compared later) and `error`.
    Rows that the champion could not answer are left out.
    """
    expected = json.loads(answer)["predictions"]
    started = time.process_time()
    try:
        asked = loaded.request_reader.read(body)
        own = list(loaded.predictor.respond(asked.rows, answered_by=True))
    except Exception as error:
        # Any exception counts as the challenger's error. Messages may quote inputs, so only the kind is kept.
        own = [{"error": REFUSED if isinstance(error, RungError | ValueError) else FAILED}] * len(expected)
    seconds = time.process_time() - started
    if len(own) != len(expected):
        own = [{"error": FAILED}] * len(expected)
    of_numbers = loaded.manifest.schema.outputs[0].kind == "number"
    rows = []
    for mine, champions in zip(own, expected, strict=True):
        if "error" in champions:
            continue
        row: dict[str, Any] = {"id": champions["id"], "output": None, "same": None, "error": ""}
        if "error" in mine:
            row["error"] = mine["error"] if mine["error"] in {REFUSED, FAILED} else REFUSED
        else:
            # What derives from the input would outlive its erasure here.
            row["output"], derived = loaded.journal_outputs.split(mine)
            if not of_numbers:
                # The first value of a response is the answer.
                row["same"] = next(iter(mine.values())) == next(iter(champions.values()))
                if derived:
                    row["output"]["same"] = row["same"]
        rows.append(row)
    return {"rows": rows, "cpu_s": seconds}


def run_worker(source: BinaryIO, sink: BinaryIO, bundle: str, max_rows: int) -> None:
    """Process frames until the input ends."""
    try:
        loaded = LoadedModel(open_bundle(bundle), max_rows)
        loaded.predictor.selftest()  # Warm-up: the first prediction is the slowest.
        _write_line(sink, {"version": loaded.manifest.version})
    except Exception as error:
        _write_line(sink, {"failed": type(error).__name__})
        return
    while head := source.readline():
        sizes = json.loads(head)
        body = RequestBody(source.read(sizes["body"]), sizes["content_type"])
        _write_line(sink, compare_answers(loaded, body, source.read(sizes["answer"])))


def _write_line(sink: BinaryIO, message: dict[str, Any]) -> None:
    sink.write(
        json.dumps(message, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n"
    )
    sink.flush()


def main() -> None:
    """Run as the subprocess of a server; end with it."""
    if hasattr(os, "nice"):
        os.nice(19)
    # Models may print to stdout: keep the protocol on a separate descriptor.
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError, KeyboardInterrupt):
        run_worker(sys.stdin.buffer, sink, sys.argv[1], int(sys.argv[2]))


if __name__ == "__main__":
    main()
