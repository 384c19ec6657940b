"""Finds tensors of an ONNX model whose values lie in other files, without the `onnx` package.

onnxruntime would read such files from the folder of the process. A bundle is one file per model, hashed in its manifest.
Message and field numbers: onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from mmap import mmap

from rung.core.errors import RungError
from rung.runtime.onnx.wire import message_fields

# Message -> field number -> message of the field. What is not listed holds no tensor.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external", 14: "location"},
}
# Every place of external data is named by an entry with this key.
_MARK = b"location"


def require_self_contained(content: bytes | mmap, where: str) -> None:
    """Raise RungError for a model with values in other files, or in a format other than ONNX."""
    if content[4:8] == b"ORTM":
        raise RungError("it is in onnxruntime's own format", where, "Export it as ONNX.")
    try:
        external = content.find(_MARK) >= 0 and _has_external(memoryview(content))
    except (IndexError, ValueError):
        raise RungError("this is not an ONNX file", where, "Export it again.") from None
    if external:
        fix = "Put all into one: onnx.save(onnx.load('model.onnx'), 'whole.onnx')."
        raise RungError("its weights are stored in another file, which no manifest vouches for", where, fix)


def _has_external(content: memoryview) -> bool:
    waiting = [("model", content)]
    while waiting:
        message, data = waiting.pop()
        known = _FIELDS[message]
        for number, value in message_fields(data):
            kind = known.get(number)
            if kind == "external" or (kind == "location" and value == 1):
                return True
            if kind in _FIELDS and isinstance(value, memoryview):
                waiting.append((kind, value))
    return False
