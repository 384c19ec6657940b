"""An ONNX model that reads other files is refused, wherever in it the tensor stands; one that only speaks of them is not."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_files import text_file
from rung.core.errors import RungError
from rung.runtime.onnx.external_data import require_self_contained
from rung.runtime.onnx.session import OnnxFile, open_session


def external(name="w", location="secret.bin"):
    """A tensor of two floats whose values lie in a file."""
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def model_with(place):
    """A model with an external tensor at one of the places where there may be one."""
    shape = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    initializers, nodes, functions = [], [helper.make_node("Identity", ["w"], ["y"])], []
    if place == "initializer":
        initializers = [external()]
    elif place == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=external()))
    elif place == "branch":
        inner = helper.make_graph(
            [helper.make_node("Constant", [], ["w"], value=external())], "inner", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [2])]
        )  # fmt: skip
        initializers = [numpy_helper.from_array(np.array(True), "c")]
        nodes.insert(0, helper.make_node("If", ["c"], ["w"], then_branch=inner, else_branch=inner))
    elif place == "sparse":
        sparse = onnx.SparseTensorProto(dims=[2])
        sparse.values.CopyFrom(external())
        nodes.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=sparse))
    elif place == "function":
        opset = [helper.make_opsetid("", 20)]
        body = [helper.make_node("Constant", [], ["w"], value=external())]
        functions = [helper.make_function("own", "F", [], ["w"], body, opset)]
        nodes.insert(0, helper.make_node("F", [], ["w"], domain="own"))
    graph = helper.make_graph(nodes, "g", [], [shape], initializers)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=9)


@pytest.mark.parametrize("place", ["initializer", "constant", "branch", "sparse", "function"])
def test_values_in_other_files_are_refused(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(np.array([3.0, 4.0], np.float32).tobytes())
    path = tmp_path / "model.onnx"
    path.write_bytes(model_with(place).SerializeToString())
    for opened in (OnnxFile.open, lambda p: open_session(p, p.name)):
        with pytest.raises(RungError, match="stored in another file") as error:
            opened(path)
        assert error.value.fix and error.value.where == "model.onnx"


def test_a_tensor_is_external_without_the_flag_too():
    tensor = external()
    tensor.ClearField("data_location")
    graph = helper.make_graph([], "g", [], [], [tensor])
    with pytest.raises(RungError, match="another file"):
        require_self_contained(helper.make_model(graph).SerializeToString(), "m")


def test_the_word_alone_is_no_file(tmp_path):
    path = text_file(tmp_path / "model.onnx", [["location"], ["other"]])
    assert b"location" in path.read_bytes()
    assert OnnxFile.open(path).session and open_session(path, "m")


@pytest.mark.parametrize("content", [b"", b"location", b"\xff" * 40 + b"location", b"\x3a\xff\xff\xff\xff\x7flocation", b"\0\0\0\0ORTM" + b"\0" * 40])  # fmt: skip
def test_what_is_no_onnx_is_said(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    for opened in (OnnxFile.open, lambda p: open_session(p, p.name)):
        with pytest.raises(RungError) as error:
            opened(path)
        assert error.value.fix
