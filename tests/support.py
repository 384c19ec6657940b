"""What tests of several folders share: a small spec, a CSV writer, and `rung` called as a shell calls it."""

import contextlib
import csv
import io
import os
import subprocess
import sys
import traceback
import warnings
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).parent.parent


def write_csv(path: Path, header, rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


SPEC = """name: desk
task: text_classification
data: {{path: {path}, input: text, target: label}}
bar: {{metric: accuracy, at_least: {bar}}}
budget: {{effort: 1, threads: 1}}
ladder: [majority, tfidf_linear]
"""


def write_spec(folder: Path, data: Path, bar: float = 0.7, extra: str = "") -> Path:
    path = folder / "product.yaml"
    path.write_text(SPEC.format(path=data, bar=bar) + extra, encoding="utf-8")
    return path


def run_cli(*args, cwd=None, env=None):
    """Run `rung` within this process, as its entry point does, and return what a process would have left.

    `start_cli` runs it in a process of its own, which costs its imports: seconds for a build.
    """
    from rung.cli import main

    return _within(main, ["rung", *map(str, args)], cwd, env)


def run_python(code, cwd=None, env=None):
    """Run a script within this process, as `python -c` does, and return what a process would have left."""
    return _within(lambda: exec(code, {"__name__": "__main__"}), ["-c"], cwd, env)


# What Python does not show outside tests.
_NOT_SHOWN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def _within(call, argv, cwd, env):
    """Call with arguments, environment, working folder and streams of its own; a bug prints its traceback."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with ExitStack() as stack:
        for name, value in (("argv", argv), ("stdin", io.StringIO()), ("stdout", out), ("stderr", err)):
            stack.enter_context(patch.object(sys, name, value))
        stack.enter_context(patch.dict(os.environ, env or {}))
        stack.enter_context(contextlib.chdir(cwd or "."))
        stack.enter_context(warnings.catch_warnings())
        warnings.resetwarnings()
        for category in _NOT_SHOWN:
            warnings.simplefilter("ignore", category)
        status = 0
        try:
            call()
        except SystemExit as done:
            status = done.code if isinstance(done.code, int) else int(done.code is not None)
        except Exception:
            traceback.print_exc()
            status = 1
        said = [stream.buffer.getvalue().decode("utf-8") for stream in (out, err)]
    return subprocess.CompletedProcess(argv, status, *said)


def start_cli(*args, cwd=None, env=None):
    """Run `rung` in a process of its own, as a shell does."""
    return subprocess.run(
        [sys.executable, "-m", "rung.cli", *map(str, args)], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        encoding="utf-8", env={**os.environ, **(env or {})}, check=False, timeout=300,
    )  # fmt: skip
