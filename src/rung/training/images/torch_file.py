"""Read the tensors of a PyTorch `.pth` file without PyTorch, and without ever running what the file says.

The file (the format before torch 1.6) is a row of pickles followed by the numbers. Loading a pickle would call whatever
it names, so its opcodes are read one by one instead: containers, numbers and texts are built, the names of tensors,
storages and ordered dicts are known, and everything else is refused.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.core.files import sha256 as file_sha256

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MARK = object()
_STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
}
_TENSOR = "torch._utils _rebuild_tensor_v2"
_DICT = "collections OrderedDict"
# Tensors of an image backbone have four dimensions at most; a hostile file could ask for any number.
_MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class _Global:
    """The name of a class or function in the file. It is compared, never imported."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """A reference to numbers that follow the pickles."""

    kind: str
    key: str
    size: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path, sha256: str) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a state dict by name.

    sha256: of the file, checked before anything is read. Raises RungError when it differs, and when the file holds
    anything but tensors in a dict.
    """
    found = file_sha256(path)
    if found != sha256:
        raise RungError(f"the file has sha256 {found}, not {sha256}", str(path), "Do not use this file.")
    return parse_tensors(path.read_bytes(), str(path))


def parse_tensors(content: bytes, where: str) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors of a file's content; raises RungError when it holds anything else."""
    stream = io.BytesIO(content)
    try:
        if _read_pickle(stream) != _MAGIC or _read_pickle(stream) != _PROTOCOL:
            raise _Refused("it is not a .pth file of the format before torch 1.6")
        system = _read_pickle(stream)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise _Refused("its numbers are not little-endian")
        state, keys = _read_pickle(stream), _read_pickle(stream)
        if not isinstance(state, dict) or not all(isinstance(value, _Tensor) for value in state.values()):
            raise _Refused("it is not a dict of tensors")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise _Refused("it does not list its storages")
        return _fill(state, _read_storages(stream, keys, state))
    except _Refused as error:
        raise RungError(f"the file cannot be read: {error}", where, _FIX) from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise RungError(f"the file is damaged: {error}", where, _FIX) from None


_FIX = "Only the weights of `rung weights` are read from .pth files; use safetensors or ONNX for others."


class _Refused(Exception):
    """The file holds something that is not a tensor."""


def _read_pickle(stream: io.BytesIO) -> Any:
    """Return what the next pickle of the stream describes, built from its opcodes."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            stack.append(argument)
        elif name in _CONTAINERS:
            stack.append(_CONTAINERS[name]())
        elif name in {"BINPUT", "LONG_BINPUT"}:
            memo[argument] = stack[-1]
        elif name in {"BINGET", "LONG_BINGET"}:
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_known(str(argument)))
        elif name == "STOP":
            return stack.pop()
        elif name in _STEPS:
            _STEPS[name](stack)
        elif name != "PROTO":
            raise _Refused(f"it uses the pickle operation {name}")
    raise _Refused("a pickle in it does not end")


def _known(name: str) -> _Global:
    if name not in _STORAGES and name not in {_TENSOR, _DICT}:
        raise _Refused(f"it names '{name.replace(' ', '.')}', and only tensors are read")
    return _Global(name)


def _since_mark(stack: list[Any]) -> list[Any]:
    """Remove and return what lies above the last mark."""
    at = len(stack) - 1 - stack[::-1].index(_MARK)
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _tuple_of(count: int) -> Any:
    def build(stack: list[Any]) -> None:
        items = tuple(stack[-count:])
        del stack[-count:]
        stack.append(items)

    return build


def _tuple(stack: list[Any]) -> None:
    stack.append(tuple(_since_mark(stack)))


def _set_item(stack: list[Any]) -> None:
    value, key = stack.pop(), stack.pop()
    _dict_on(stack)[key] = value


def _set_items(stack: list[Any]) -> None:
    items = _since_mark(stack)
    _dict_on(stack).update(zip(items[::2], items[1::2], strict=True))


def _dict_on(stack: list[Any]) -> dict[Any, Any]:
    if not isinstance(stack[-1], dict):
        raise _Refused("it sets an item of something that is not a dict")
    return stack[-1]


def _append(stack: list[Any]) -> None:
    value = stack.pop()
    stack[-1].append(value)


def _appends(stack: list[Any]) -> None:
    items = _since_mark(stack)
    stack[-1].extend(items)


def _build(stack: list[Any]) -> None:
    """Drop the attributes of a dict (torch writes the versions of its layers there)."""
    stack.pop()
    _dict_on(stack)


def _reduce(stack: list[Any]) -> None:
    """Build the one of the known things that the file asks for."""
    arguments, target = stack.pop(), stack.pop()
    if target == _Global(_DICT) and arguments == ():
        stack.append({})
    elif target == _Global(_TENSOR) and isinstance(arguments, tuple) and len(arguments) >= 4:
        storage, offset, shape, strides = arguments[:4]
        if not isinstance(storage, _Storage) or len(shape) != len(strides) or len(shape) > _MOST_DIMENSIONS:
            raise _Refused("a tensor in it has no storage or no shape")
        whole = [offset, *shape, *strides]
        if not all(isinstance(number, int) and 0 <= number < 1 << 40 for number in whole):
            raise _Refused("a tensor in it has a shape that is no list of counts")
        stack.append(_Tensor(storage, offset, tuple(shape), tuple(strides)))
    else:
        raise _Refused("it calls something that is not a tensor or a dict")


def _storage(stack: list[Any]) -> None:
    """Read a reference: ("storage", class, key, device, size, view)."""
    found = stack.pop()
    kind = found[1].name
    if (
        found[0] != "storage"
        or kind not in _STORAGES
        or found[5] is not None
        or not isinstance(found[4], int)
    ):
        raise _Refused("a storage in it is of an unknown kind")
    stack.append(_Storage(kind, str(found[2]), found[4]))


_CONSTANTS: Mapping[str, Any] = {
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
    "MARK": _MARK,
    "EMPTY_TUPLE": (),
}
_LITERALS = {"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"}
_CONTAINERS: Mapping[str, Any] = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
_STEPS: Mapping[str, Any] = {
    "TUPLE": _tuple, "TUPLE1": _tuple_of(1), "TUPLE2": _tuple_of(2), "TUPLE3": _tuple_of(3),
    "SETITEM": _set_item, "SETITEMS": _set_items, "APPEND": _append, "APPENDS": _appends,
    "BUILD": _build, "REDUCE": _reduce, "BINPERSID": _storage,
}  # fmt: skip


def _read_storages(
    stream: io.BytesIO, keys: list[str], state: Mapping[str, _Tensor]
) -> dict[str, npt.NDArray[Any]]:
    """Return the numbers of each storage: a count of 8 bytes, then the numbers, in the order of the keys."""
    kinds = {tensor.storage.key: tensor.storage for tensor in state.values()}
    found = {}
    for key in keys:
        storage = kinds[key]
        count = int.from_bytes(stream.read(8), "little")
        kind = np.dtype(_STORAGES[storage.kind])
        raw = stream.read(count * kind.itemsize) if count == storage.size else b""
        if len(raw) != storage.size * kind.itemsize:
            raise _Refused("it ends before its numbers do")
        found[key] = np.frombuffer(raw, kind)
    return found


def _fill(
    state: Mapping[str, _Tensor], storages: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors with their numbers; raises _Refused when one lies outside its storage."""
    found = {}
    for name, tensor in state.items():
        values = storages[tensor.storage.key]
        last = tensor.offset + sum(
            (n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)
        )
        # More numbers than are stored would be a few repeated without end.
        count = math.prod(tensor.shape)
        if count > len(values) or (count and last >= len(values)):
            raise _Refused(f"the tensor '{name}' lies outside its storage")
        view = np.lib.stride_tricks.as_strided(
            values[tensor.offset :],
            tensor.shape,
            tuple(step * values.itemsize for step in tensor.strides),
            writeable=False,
        )
        found[str(name)] = np.ascontiguousarray(view).reshape(tensor.shape)
    return found
