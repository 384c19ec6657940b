"""Run an ONNX model in ONNX Runtime, on one thread."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rung.core.errors import MissingExtra, RungError
from rung.runtime.onnx.external_data import require_self_contained

# The size limit of one protobuf message, and so of one ONNX file without external data.
MAX_BYTES = 2_000_000_000
# Told of each batch: the file, the names of the outputs, the inputs by name, the answers.
Listener = Callable[[Path, Sequence[str], dict[str, Any], list[Any]], object]
_listeners: list[Listener] = []


class OnnxFile:
    """An open ONNX model: path, hash, name for errors, and a session on one thread."""

    def __init__(self, path: Path, content: bytes, where: str) -> None:
        self.path = path
        self.where = where
        self.sha256 = hashlib.sha256(content).hexdigest()
        require_self_contained(content, where)
        self.session = _session(content, where)

    @classmethod
    def open(cls, path: Path) -> OnnxFile:
        """Return a bundle's model, run from memory. Raises RungError when it cannot run.

        Errors name the file without its folder, since a server's clients read them.
        """
        return cls(path, read_model(path), path.name)

    def copy_to(self, target: Path) -> None:
        """Write the file as it was opened; raises RungError when it has changed since."""
        content = read_model(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise RungError("the file changed while it was in use", self.where, "Build again.")
        target.write_bytes(content)

    def run(self, output: str, feed: dict[str, Any]) -> Any:
        """Return one output for a batch; raises RungError with onnxruntime's message."""
        return self.run_all((output,), feed)[0]

    def run_all(self, outputs: Sequence[str], feed: dict[str, Any]) -> list[Any]:
        """Return several outputs for a batch; raises RungError with onnxruntime's message."""
        try:
            return run_session(self.session, self.path, outputs, feed)
        except Exception as error:  # onnxruntime raises its own classes and plain ValueErrors
            fix = "Try the row in Python with onnxruntime, and export again."
            raise RungError(
                f"onnxruntime cannot run it on a row: {_reason(error)}", self.where, fix
            ) from None


def run_session(session: Any, path: Path, outputs: Sequence[str], feed: dict[str, Any]) -> list[Any]:
    """Return several outputs of a session for a batch; who listens is told file, outputs, feed and answers."""
    answers = list(session.run(list(outputs), feed))
    for listener in _listeners:
        listener(path, outputs, feed, answers)
    return answers


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell a listener of every batch that an ONNX model of this process answers, until the block ends."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def read_model(path: Path) -> bytes:
    """Return the content of an ONNX file; raises RungError when it is too large."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise too_large(path, size)
    return path.read_bytes()


def too_large(path: Path, size: int) -> RungError:
    """Return the error for a file over the size limit."""
    return RungError(
        f"the file '{path.name}' has {size / 1e9:.1f} GB, more than {MAX_BYTES / 1e9:.0f}",
        fix="Export a smaller model: half precision or quantised, say.",
    )


def open_session(path: Path, where: str) -> Any:
    """Return a session of a file on one thread, without a copy of it in memory; raises RungError as `OnnxFile` does."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise RungError("the file is empty", where, "Export it again.")
        # Freed, not closed: an error holds views of it.
        require_self_contained(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), where)
    return _session(str(path), where)


def _session(model: bytes | str, where: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("an ONNX file", "build", "onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Errors are raised; they need not also be printed.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, all below Exception
        reason = _reason(error)
        fix = "Open it in Python with onnxruntime, and export it again for that version."
        if "locale" in reason:
            fix = "Export with the option locale 'C': docs/howto/bring-your-own-model.md shows where."
        raise RungError(f"onnxruntime cannot open it: {reason}", where, fix) from None


def _reason(error: Exception) -> str:
    """Return the first line of onnxruntime's message, without its prefix."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line.split(" : ", 2)[-1].rstrip(".")[:300]
