"""Finds tensors of an ONNX model whose values lie in other files, without the `onnx` package.

onnxruntime would read such files from the folder of the process. A bundle is one file per model, hashed in its manifest.
Message and field numbers: onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

from rung.core.errors import RungError

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
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
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
        for number, value in _fields(data):
            kind = known.get(number)
            if kind == "external" or (kind == "location" and value == 1):
                return True
            if kind in _FIELDS and isinstance(value, memoryview):
                waiting.append((kind, value))
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield (number, value) of the fields of a message; raises IndexError or ValueError for what is none."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        value: memoryview | int = 0
        if kind == _VARINT:
            value, at = _varint(data, at)
        elif kind == _BYTES:
            size, at = _varint(data, at)
            value = data[at : at + size]
            at += size
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError("no field of protobuf")
        if at > len(data):
            raise IndexError("a field is cut off")
        yield number, value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
