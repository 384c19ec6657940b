"""Store the large weights of an ONNX graph in 8 bits, a scale a channel; they are unpacked when the file is opened.

Answers take as long as before, since ONNX Runtime multiplies the weights out once: this saves a file's size and nothing else. It
needs no calibration, whatever the operators are. Of the operators whose weights it takes (Conv, Gemm, MatMul) others are left alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import MissingExtra, RungError

# Operator -> the axis of its weights' output channels.
_AXES = {"Conv": 0, "Gemm": 1, "MatMul": 1}
# Smaller tensors are not worth a scale of their own.
_LEAST = 1_000


def weights_to_int8(path: Path) -> None:
    """Rewrite a file in place; raises RungError where it has no weights that this knows."""
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError:
        raise MissingExtra("weights in 8 bits", "build", "onnx") from None
    model = onnx.load(path)
    graph = model.graph
    axes = {
        node.input[1]: _axis(node) for node in graph.node if node.op_type in _AXES and len(node.input) > 1
    }
    unpacked = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.name not in axes or values.dtype != np.float32 or values.size < _LEAST or values.ndim < 2:
            continue
        axis = axes[tensor.name]
        codes, scales = _codes(values, axis)
        graph.initializer.remove(tensor)
        for name, array in ((f"{tensor.name}_codes", codes), (f"{tensor.name}_scales", scales)):
            graph.initializer.append(numpy_helper.from_array(array, name))
        # Not DequantizeLinear: the runtime leaves that one in the graph, and unpacks the weights at every call.
        wide = f"{tensor.name}_wide"
        unpacked.append(helper.make_node("Cast", [f"{tensor.name}_codes"], [wide], to=onnx.TensorProto.FLOAT))
        unpacked.append(helper.make_node("Mul", [wide, f"{tensor.name}_scales"], [tensor.name]))
    if not unpacked:
        known = ", ".join(sorted(_AXES))
        raise RungError(
            f"no operator of the graph has weights that are known here ({known})",
            path.name,
            "It stays in float.",
        )
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*unpacked, *kept])
    onnx.save(model, path)


def _axis(node: Any) -> int:
    """Return the axis of the output channels; of a Gemm with transposed weights the other one."""
    turned = any(one.name == "transB" and one.i for one in node.attribute)
    return 0 if node.op_type == "Gemm" and turned else _AXES[node.op_type]


def _codes(
    values: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    others = tuple(place for place in range(values.ndim) if place != axis)
    scales = np.abs(values).max(axis=others, keepdims=True) / 127.0
    scales[scales == 0] = 1.0
    return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)
