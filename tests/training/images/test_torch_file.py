"""Reading a `.pth` file gives tensors or an error: nothing that the file names is ever called."""

import hashlib
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from rung.core.errors import RungError
from rung.training.images.torch_file import parse_tensors, read_tensors

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Writer(pickle.Pickler):
    """Writes what torch.save wrote before version 1.6, without torch."""

    def persistent_id(self, value):
        return value.reference if isinstance(value, Storage) else None


class Storage:
    def __init__(self, key, size):
        self.reference = ("storage", FloatStorage, key, "cpu", size, None)


class FloatStorage:
    pass


class Call:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def _rebuild_tensor_v2(*arguments):
    raise AssertionError("called")


FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"
_rebuild_tensor_v2.__module__ = "torch._utils"


@pytest.fixture
def torch_names(monkeypatch):
    """Modules of torch's names, for pickling alone."""
    import sys
    from types import ModuleType

    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    torch.FloatStorage, utils._rebuild_tensor_v2 = FloatStorage, _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def tensor(storage, shape, strides, offset=0):
    return Call(_rebuild_tensor_v2, storage, offset, shape, strides, False, OrderedDict())


def written(state, values, keys=("1",), tail=None):
    import io

    out = io.BytesIO()
    for head in (MAGIC, PROTOCOL, SYSTEM):
        pickle.dump(head, out, 2)
    Writer(out, 2).dump(state)
    pickle.dump(list(keys), out, 2)
    out.write(struct.pack("<q", len(values)) + np.asarray(values, "<f4").tobytes() if tail is None else tail)
    return out.getvalue()


def test_tensors_are_read_with_their_strides(torch_names):
    storage = Storage("1", 6)
    state = OrderedDict(
        a=tensor(storage, (2, 3), (3, 1)), b=tensor(storage, (3, 2), (1, 3)), c=tensor(storage, (), (), 5)
    )
    found = parse_tensors(written(state, range(6)), "x")
    assert list(found) == ["a", "b", "c"]
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["b"].tolist() == [[0, 3], [1, 4], [2, 5]] and found["c"].tolist() == 5


HOSTILE = {
    "a call": lambda: Call(os.system, "touch hostile"),
    "a call inside": lambda: OrderedDict(a=Call(eval, "1/0")),
    "a known name, called otherwise": lambda: OrderedDict(a=Call(OrderedDict, [("a", 1)])),
    "no tensors": lambda: OrderedDict(a=1),
    "a list": lambda: [1, 2],
    "outside its storage": lambda: OrderedDict(a=tensor(Storage("1", 6), (7,), (1,))),
    "behind its storage": lambda: OrderedDict(a=tensor(Storage("1", 6), (2,), (1,), 5)),
    "one number without end": lambda: OrderedDict(a=tensor(Storage("1", 6), (2**39,), (0,))),
    "a negative stride": lambda: OrderedDict(a=tensor(Storage("1", 6), (2,), (-1,), 5)),
    "another storage": lambda: OrderedDict(a=tensor(Storage("2", 6), (2,), (1,))),
    "a size that is not": lambda: OrderedDict(a=tensor(Storage("1", 2**60), (2,), (1,))),
    "no storage": lambda: OrderedDict(a=Call(_rebuild_tensor_v2, 1, 0, (1,), (1,))),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_anything_else_is_refused(what, torch_names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RungError) as caught:
        parse_tensors(written(HOSTILE[what](), range(6)), "weights.pth")
    assert caught.value.where == "weights.pth" and caught.value.fix
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_errors(torch_names):
    whole = written(OrderedDict(a=tensor(Storage("1", 6), (6,), (1,))), range(6))
    for length in range(len(whole)):
        with pytest.raises(RungError):
            parse_tensors(whole[:length], "x")
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole)
        for place in rng.integers(0, len(whole), 3).tolist():
            broken[place] = int(rng.integers(0, 256))
        try:
            parse_tensors(bytes(broken), "x")
        except RungError as error:
            assert error.fix


def test_the_hash_is_checked_before_anything_is_read(tmp_path, torch_names):
    path = tmp_path / "x.pth"
    path.write_bytes(written(OrderedDict(a=tensor(Storage("1", 6), (6,), (1,))), range(6)))
    with pytest.raises(RungError, match="sha256"):
        read_tensors(path, "0" * 64)
    assert read_tensors(path, hashlib.sha256(path.read_bytes()).hexdigest())["a"].tolist() == list(range(6))
