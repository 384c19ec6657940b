"""Check that a user's ONNX file can ship in a bundle: self-contained, with operators that onnxruntime has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rung.core.errors import MissingExtra, RungError
from rung.runtime.onnx.session import OnnxFile, read_model

# Operators of these domains come with onnxruntime; the last three are written by its optimisers.
KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}


def open_user_model(path: Path) -> OnnxFile:
    """Return a user's model, opened. Raises RungError when it cannot run or cannot ship in a bundle."""
    content = read_model(path)
    _require_self_contained(content, str(path))
    return OnnxFile(path, content, str(path))


def _require_self_contained(content: bytes, where: str) -> None:
    """Raise RungError for content that is not ONNX, has external weights, or uses unknown operators."""
    try:
        import onnx
    except ImportError:
        raise MissingExtra("checking an ONNX file", "build", "onnx") from None
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # protobuf's error class differs between its versions
        model = onnx.ModelProto()
    nodes = list(_nodes(model))
    if not nodes:
        raise RungError("this is not an ONNX file", where, "docs/howto/bring-your-own-model.md makes one.")
    own = {function.domain for function in model.functions}
    strange = sorted({f"{n.domain}:{n.op_type}" for n in nodes if n.domain not in KNOWN_DOMAINS | own})
    if strange:
        raise RungError(
            f"it uses {', '.join(strange[:5])}, which onnxruntime does not have",
            where,
            "Export it with standard operators: custom ones cannot ship in a bundle.",
        )
    outside = next((t for t in _tensors(model) if t.data_location == onnx.TensorProto.EXTERNAL), None)
    if outside is not None:
        raise RungError(
            f"its weights ('{outside.name}', for example) are stored in another file",
            where,
            "Put all into one: onnx.save(onnx.load('model.onnx'), 'whole.onnx').",
        )


def _graphs(model: Any) -> Iterator[Any]:
    """Yield every graph and function of a model, including graphs inside nodes."""
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
