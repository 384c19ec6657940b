"""Open an ONNX file that somebody else made: whole in itself, with known operators, quiet on the cores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rung.core.errors import MissingExtra, RungError

# What one protobuf message, and so one ONNX file without files beside it, can hold.
MOST_BYTES = 2_000_000_000
# Operators of these domains come with onnxruntime; the last three are what its optimisers write.
_KNOWN = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}


class OnnxFile:
    """An open ONNX file: where it lies, its hash, what errors call it, and a session on one thread."""

    def __init__(self, path: Path, content: bytes, where: str) -> None:
        self.path = path
        self.where = where
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.session = _session(content, where)

    @classmethod
    def open(cls, path: Path) -> OnnxFile:
        """Return a bundle's file, run from memory, with no file beside it. Raises RungError when it cannot run.

        Errors name the file without its folder: a server's clients read them.
        """
        return cls(path, _read(path), path.name)

    @classmethod
    def open_foreign(cls, path: Path) -> OnnxFile:
        """Return a user's file as `open` does, after a look inside for what could not ship with it."""
        content = _read(path)
        _require_whole(content, str(path))
        return cls(path, content, str(path))

    def copy_to(self, target: Path) -> None:
        """Write the file as it was opened; raises RungError when it has changed since."""
        content = _read(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise RungError("the file changed while it was in use", self.where, "Build again.")
        target.write_bytes(content)

    def run(self, output: str, feed: dict[str, Any]) -> Any:
        """Return one output for a batch; raises RungError with what onnxruntime says."""
        try:
            return self.session.run([output], feed)[0]
        except Exception as error:  # onnxruntime raises its own classes and plain ValueErrors
            fix = "Try the row in Python with onnxruntime, and export again."
            raise RungError(
                f"onnxruntime cannot run it on a row: {_reason(error)}", self.where, fix
            ) from None


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise too_large(path, size)
    return path.read_bytes()


def too_large(path: Path, size: int) -> RungError:
    """Return the error for a file over the bound."""
    return RungError(
        f"the file '{path.name}' has {size / 1e9:.1f} GB, more than {MOST_BYTES / 1e9:.0f}",
        fix="Export a smaller model: half precision or quantised, say.",
    )


def _session(content: bytes, where: str) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("an ONNX file", "build", "onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # What goes wrong is raised; it need not also be written to the terminal.
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, all below Exception
        reason = _reason(error)
        fix = "Open it in Python with onnxruntime, and export it again for that version."
        if "locale" in reason:
            fix = "Export with the option locale 'C': docs/howto/bring-your-own-model.md shows where."
        raise RungError(f"onnxruntime cannot open it: {reason}", where, fix) from None


def _require_whole(content: bytes, where: str) -> None:
    """Raise RungError for what is no ONNX, keeps weights in other files, or needs operators that are not there."""
    try:
        import onnx
    except ImportError:
        raise MissingExtra("checking an ONNX file", "build", "onnx") from None
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # protobuf's own error class moves between its versions
        model = onnx.ModelProto()
    nodes = list(_nodes(model))
    if not nodes:
        raise RungError("this is not an ONNX file", where, "docs/howto/bring-your-own-model.md makes one.")
    own = {function.domain for function in model.functions}
    strange = sorted({f"{n.domain}:{n.op_type}" for n in nodes if n.domain not in _KNOWN | own})
    if strange:
        raise RungError(
            f"it uses {', '.join(strange[:5])}, which onnxruntime does not have",
            where,
            "Export it with standard operators: code of your own cannot ship in a bundle.",
        )
    outside = next((t for t in _tensors(model) if t.data_location == onnx.TensorProto.EXTERNAL), None)
    if outside is not None:
        raise RungError(
            f"its weights ('{outside.name}', say) lie in another file",
            where,
            "Put all into one: onnx.save(onnx.load('model.onnx'), 'whole.onnx').",
        )


def _graphs(model: Any) -> Iterator[Any]:
    """Yield every graph and function of a model, those inside of nodes too."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]


def _reason(error: Exception) -> str:
    """Return the first line of what onnxruntime says, without its own marks."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line.split(" : ", 2)[-1].rstrip(".")[:300]
