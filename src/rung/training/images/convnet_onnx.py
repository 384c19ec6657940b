"""Write a convolutional network as an ONNX graph with the onnx package alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from rung.training.images.convnet import Block, ConvNet, Convolution, Padding
from rung.training.onnx.graph import Graph

INPUT = "images"
FEATURES = "features"
LOGITS = "logits"
_OPSET = 21
_IR_VERSION = 10


def write_convnet(net: ConvNet, logits: bool = False) -> Any:
    """Return an onnx ModelProto: images uint8 [images, height, width, channels] -> features float32 [images, sum(net.widths)].

    Height and width are free. Levels are normalised inside the graph. features: the channels of the tapped blocks and
    of the last one, each averaged over the image. logits: whether the network's own classes are an output as well.
    """
    from onnx import TensorProto, helper

    graph = Graph()
    x = _normalise(graph, net)
    parts = []
    for number, block in enumerate(net.blocks):
        x = _write_block(graph, x, block, net.padding)
        if number in net.tapped or number == len(net.blocks) - 1:
            axes = graph.constant(np.array([2, 3], np.int64))
            parts.append(graph.node("ReduceMean", [x, axes], keepdims=0))
    features = graph.node("Concat", parts, axis=1) if len(parts) > 1 else parts[0]
    graph.nodes.append(helper.make_node("Identity", [features], [FEATURES]))
    outputs = [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["images", sum(net.widths)])]
    if logits:
        weight, bias = (graph.constant(values) for values in net.classifier)
        graph.nodes.append(helper.make_node("Gemm", [parts[-1], weight, bias], [LOGITS]))
        outputs.append(
            helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["images", len(net.classifier[1])])
        )
    inputs = [
        helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["images", "height", "width", len(net.mean)])
    ]
    return helper.make_model(
        helper.make_graph(graph.nodes, "backbone", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="rung",
    )


def _normalise(graph: Graph, net: ConvNet) -> str:
    """Write (x - mean) / scale and the turn from channels last to channels first."""
    from onnx import TensorProto

    levels = graph.node("Cast", [INPUT], to=TensorProto.FLOAT)
    centred = graph.node("Sub", [levels, graph.constant(np.array(net.mean, np.float32))])
    scaled = graph.node("Div", [centred, graph.constant(np.array(net.scale, np.float32))])
    return graph.node("Transpose", [scaled], perm=[0, 3, 1, 2])


def _write_block(graph: Graph, x: str, block: Block, padding: Padding) -> str:
    out = x
    for convolution in block.convolutions:
        out = _write_convolution(graph, out, convolution, padding)
    return graph.node("Add", [x, out]) if block.residual else out


def _write_convolution(graph: Graph, x: str, convolution: Convolution, padding: Padding) -> str:
    side = convolution.weight.shape[-1]
    around = {"pads": [side // 2] * 4} if padding == "centre" else {"auto_pad": "SAME_UPPER"}
    out = graph.node(
        "Conv",
        [x, graph.constant(convolution.weight), graph.constant(convolution.bias)],
        kernel_shape=[side, side],
        strides=[convolution.stride] * 2,
        group=convolution.groups,
        **around,
    )
    if not convolution.activation:
        return out
    return graph.node("Clip", [out, graph.constant(np.float32(0)), graph.constant(np.float32(6))])
