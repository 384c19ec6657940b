"""Write the part of a TensorFlow.js graph that some of its nodes need as ONNX nodes, channels first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rung.core.errors import RungError
from rung.training.images.tfjs_graph import Node, TfjsGraph
from rung.training.onnx.graph import Graph

_Writer = Callable[["TfjsWriter", Node], str]


class TfjsWriter:
    """Writes nodes on demand, each once. inputs: nodes of the TensorFlow.js graph -> tensors that stand for them.

    Tensors of images are channels first in ONNX, so axes are renumbered; the values are the same.
    """

    def __init__(self, source: TfjsGraph, graph: Graph, inputs: Mapping[str, str]) -> None:
        self.source, self.graph = source, graph
        self._written = dict(inputs)

    def tensor(self, name: str) -> str:
        """Return the tensor of a node, written with all that it needs. Raises RungError for an operation not known here."""
        if name not in self._written:
            node = self.source.nodes.get(name)
            if node is None:
                raise RungError(f"the graph has no node '{name}'")
            if node.operation not in _WRITERS:
                raise RungError(f"operations of the kind {node.operation} are not written", name)
            self._written[name] = _WRITERS[node.operation](self, node)
        return self._written[name]

    def constant(self, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Return the values of a constant node."""
        return self.source.constants[name]


def _constant(writer: TfjsWriter, node: Node) -> str:
    values = writer.constant(node.name)
    if values.ndim:
        raise RungError("only constants of one number stand alone", node.name)
    return writer.graph.constant(values)


def _convolution(writer: TfjsWriter, node: Node) -> str:
    weights = writer.constant(node.inputs[1]).transpose(3, 2, 0, 1)
    return _convolved(writer, node, weights, 1)


def _depthwise(writer: TfjsWriter, node: Node) -> str:
    weights = writer.constant(node.inputs[1])
    height, width, channels, times = weights.shape
    turned = weights.transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)
    return _convolved(writer, node, turned, channels)


def _convolved(
    writer: TfjsWriter, node: Node, weights: np.ndarray[tuple[int, ...], np.dtype[np.float32]], groups: int
) -> str:
    graph = writer.graph
    steps = node.words("fused_ops")
    inputs = [writer.tensor(node.inputs[0]), graph.constant(weights)]
    if steps[:1] == ("BiasAdd",):
        inputs.append(graph.constant(writer.constant(node.inputs[2])))
    # TensorFlow's SAME puts the odd pixel of padding behind, as ONNX's SAME_UPPER does.
    padding = {"SAME": "SAME_UPPER", "VALID": "VALID"}[node.words("padding")[0]]
    found = graph.node(
        "Conv",
        inputs,
        group=groups,
        strides=list(node.numbers("strides")[1:3]),
        dilations=list(node.numbers("dilations")[1:3]),
        auto_pad=padding,
    )
    for step in steps[1:]:
        if step != "Relu":
            raise RungError(f"convolutions with {step} are not written", node.name)
        found = graph.node("Relu", [found])
    return found


def _plain(operator: str) -> _Writer:
    def write(writer: TfjsWriter, node: Node) -> str:
        return writer.graph.node(operator, [writer.tensor(name) for name in node.inputs])

    return write


def _relu6(writer: TfjsWriter, node: Node) -> str:
    ends = [writer.graph.constant(np.float32(end)) for end in (0, 6)]
    return writer.graph.node("Clip", [writer.tensor(node.inputs[0]), *ends])


def _mean(writer: TfjsWriter, node: Node) -> str:
    if writer.constant(node.inputs[1]).tolist() != [1, 2]:
        raise RungError("only means over height and width are written", node.name)
    axes = writer.graph.constant(np.array([2, 3], np.int64))
    return writer.graph.node("ReduceMean", [writer.tensor(node.inputs[0]), axes], keepdims=1)


def _concat(writer: TfjsWriter, node: Node) -> str:
    *parts, axis = node.inputs
    if int(writer.constant(axis)) not in {3, -1}:
        raise RungError("only channels are written side by side", node.name)
    return writer.graph.node("Concat", [writer.tensor(part) for part in parts], axis=1)


def _resize(writer: TfjsWriter, node: Node) -> str:
    """Write the bilinear resize to twice the size, which is what decoders of detectors use it for."""
    for name in ("align_corners", "half_pixel_centers"):
        if node.attributes.get(name, {}).get("b"):
            raise RungError(f"a resize with {name} is not written", node.name)
    scales = writer.graph.constant(np.array([1, 1, 2, 2], np.float32))
    return writer.graph.node(
        "Resize",
        [writer.tensor(node.inputs[0]), "", scales],
        mode="linear",
        coordinate_transformation_mode="asymmetric",
    )


_WRITERS: Mapping[str, _Writer] = {
    "Const": _constant,
    "Conv2D": _convolution,
    "_FusedConv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": _depthwise,
    "Add": _plain("Add"),
    "Mul": _plain("Mul"),
    "Relu": _plain("Relu"),
    "Sigmoid": _plain("Sigmoid"),
    "Identity": _plain("Identity"),
    "Relu6": _relu6,
    "Mean": _mean,
    "ConcatV2": _concat,
    "ResizeBilinear": _resize,
}


def write_tensors(writer: TfjsWriter, wanted: Sequence[str]) -> list[str]:
    """Return the tensors of these nodes."""
    return [writer.tensor(name) for name in wanted]
