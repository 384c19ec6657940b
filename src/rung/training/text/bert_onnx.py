"""Write a BERT-family encoder as an ONNX graph with the onnx package alone.

The graph takes token ids of texts of equal length, so it has no attention mask and no padding. It returns the
pooled, not normalised embedding, and the concatenation of three layers: a linear head learns more from them
than from the last layer alone, which was trained for comparing sentences (measured:
benchmarks/results/encoders.md). Callers group texts by length.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rung.modalities.text.onnx_encoder import LAYERS
from rung.training.onnx.graph import Graph
from rung.training.text.bert_weights import (
    Adapter,
    BertWeights,
    FloatTable,
    Int4Table,
    Int8Table,
    Linear,
    Norm,
    TokenTable,
)

# Operators of onnxruntime. SkipLayerNormalization is not used: on CPUs it is seven times slower than Add and
# LayerNormalization.
ORT_DOMAIN = "com.microsoft"
_OPSET = 21
_IR_VERSION = 10


class LinearWriter(Protocol):
    """Writes one linear layer; place is (layer number, 'qkv' | 'context' | 'up' | 'down')."""

    def __call__(self, graph: Graph, x: str, linear: Linear, place: tuple[int, str]) -> str:
        """Return the name of the output tensor."""


def write_float(graph: Graph, x: str, linear: Linear, place: tuple[int, str]) -> str:
    """Write a linear layer in float32."""
    product = graph.node("MatMul", [x, graph.constant(linear.weight)])
    return graph.node("Add", [product, graph.constant(linear.bias)])


def write_encoder(weights: BertWeights, write: LinearWriter, pooling: str, probes: dict[str, str]) -> Any:
    """Return an onnx ModelProto.

    input_ids int64 [texts, tokens] -> embedding float32 [texts, width] and layers float32 [texts, 3 * width],
    each of its parts of the same length, together of length 1. pooling: 'mean' or 'cls'. probes: additional
    outputs, filled by `write` while writing: name of the output -> name of the tensor.
    """
    graph = Graph()
    x = _embed(graph, weights)
    parts = []
    for number, layer in enumerate(weights.layers):
        qkv = write(graph, x, layer.qkv, (number, "qkv"))
        query, key, value = graph.split("Split", [qkv], 3, axis=-1, num_outputs=3)
        mixed = graph.node("MultiHeadAttention", [query, key, value], ORT_DOMAIN, num_heads=weights.heads)
        context = write(graph, mixed, layer.context, (number, "context"))
        context = _adapted(graph, context, layer.context_adapter)
        x = _add_norm(graph, x, context, layer.context_norm, weights.epsilon)
        raised = graph.node("Gelu", [write(graph, x, layer.up, (number, "up"))], ORT_DOMAIN)
        lowered = write(graph, raised, layer.down, (number, "down"))
        lowered = _adapted(graph, lowered, layer.down_adapter)
        x = _add_norm(graph, x, lowered, layer.down_norm, weights.epsilon)
        if number + 1 in output_layers(len(weights.layers)):
            parts.append(_pool(graph, x, pooling))
    return _model(graph, parts, weights.width, probes)


def write_classifier(weights: BertWeights, write: LinearWriter, pooling: str, head: Linear) -> bytes:
    """Return the content of an ONNX file: input_ids int64 [texts, tokens] -> logits float32 [texts, labels]."""
    from onnx import TensorProto, helper, numpy_helper

    model = write_encoder(weights, write, pooling, {})
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(head.weight), "head.weight"))
    graph.initializer.append(numpy_helper.from_array(head.bias, "head.bias"))
    graph.node.append(helper.make_node("MatMul", [LAYERS, "head.weight"], ["head"]))
    graph.node.append(helper.make_node("Add", ["head", "head.bias"], ["logits"]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", len(head.bias)]))
    return bytes(model.SerializeToString())


def output_layers(layers: int) -> tuple[int, ...]:
    """Return the layers that are concatenated, counted from 1: the middle one, the one at three quarters, and
    the last.
    """
    return tuple(sorted({-(-layers // 2), -(-layers * 3 // 4), layers}))


def _pool(graph: Graph, x: str, pooling: str) -> str:
    if pooling == "mean":
        return graph.node("ReduceMean", [x, graph.constant(np.array([1], np.int64))], keepdims=0)
    return graph.node("Gather", [x, graph.constant(np.int64(0))], axis=1)


def _embed(graph: Graph, weights: BertWeights) -> str:
    ids = "input_ids"
    zero, one = (graph.constant(np.array([number], np.int64)) for number in (0, 1))
    length = graph.node("Gather", [graph.node("Shape", [ids]), one])
    positions = graph.node("Slice", [graph.constant(weights.positions), zero, length])
    summed = graph.node("Add", [_gather(graph, weights.tokens, ids), positions])
    return _norm(graph, summed, weights.norm, weights.epsilon)


def _gather(graph: Graph, table: TokenTable, ids: str) -> str:
    """Look up tokens before dequantising, so that the table stays small in memory."""
    from onnx import TensorProto

    if isinstance(table, FloatTable):
        return graph.node("Gather", [graph.constant(table.values), ids])
    if isinstance(table, Int8Table):
        codes = graph.node(
            "Cast", [graph.node("Gather", [graph.constant(table.codes), ids])], to=TensorProto.FLOAT
        )
        return graph.node("Mul", [codes, graph.node("Gather", [graph.constant(table.scales), ids])])
    return _gather_int4(graph, table, ids)


def _gather_int4(graph: Graph, table: Int4Table, ids: str) -> str:
    from onnx import TensorProto

    width, blocks = table.codes.shape[1] * 2, table.scales.shape[1]

    def shape(*sizes: int) -> str:
        return graph.constant(np.array([0, 0, *sizes], np.int64))

    packed = graph.node("Gather", [graph.constant(table.codes), ids])
    low = graph.node("BitwiseAnd", [packed, graph.constant(np.uint8(15))])
    high = graph.node("BitShift", [packed, graph.constant(np.uint8(4))], direction="RIGHT")
    # [texts, tokens, width / 2] twice -> pairs side by side -> [texts, tokens, blocks, block]
    axis = graph.constant(np.array([-1], np.int64))
    pairs = graph.node("Concat", [graph.node("Unsqueeze", [half, axis]) for half in (low, high)], axis=-1)
    codes = graph.node(
        "Cast", [graph.node("Reshape", [pairs, shape(blocks, width // blocks)])], to=TensorProto.FLOAT
    )
    scales = graph.node("Gather", [graph.constant(table.scales), ids])
    scales = graph.node("Unsqueeze", [graph.node("Cast", [scales], to=TensorProto.FLOAT), axis])
    values = graph.node("Mul", [graph.node("Sub", [codes, graph.constant(np.float32(8))]), scales])
    return graph.node("Reshape", [values, shape(width)])


def _norm(graph: Graph, x: str, norm: Norm, epsilon: float) -> str:
    inputs = [x, graph.constant(norm.gamma), graph.constant(norm.beta)]
    return graph.node("LayerNormalization", inputs, epsilon=epsilon)


def _adapted(graph: Graph, x: str, adapter: Adapter | None) -> str:
    """Write an adapter in float32, whatever the precision of the layers: it is a hundredth of them."""
    if adapter is None:
        return x
    low = graph.node("Gelu", [write_float(graph, x, adapter.down, (-1, "adapter"))], ORT_DOMAIN)
    return graph.node("Add", [x, write_float(graph, low, adapter.up, (-1, "adapter"))])


def _add_norm(graph: Graph, x: str, change: str, norm: Norm, epsilon: float) -> str:
    return _norm(graph, graph.node("Add", [x, change]), norm, epsilon)


def _model(graph: Graph, parts: list[str], width: int, probes: dict[str, str]) -> Any:
    from onnx import TensorProto, helper

    each = [graph.node("LpNormalization", [part], axis=-1, p=2) for part in parts]
    scale = graph.constant(np.float32(len(parts) ** -0.5))
    concatenated = graph.node("Mul", [graph.node("Concat", each, axis=-1), scale])
    graph.nodes.append(helper.make_node("Identity", [parts[-1]], ["embedding"]))
    graph.nodes.append(helper.make_node("Identity", [concatenated], [LAYERS]))
    outputs = [
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", width]),
        helper.make_tensor_value_info(LAYERS, TensorProto.FLOAT, ["texts", width * len(parts)]),
    ]
    for name, tensor in probes.items():
        graph.nodes.append(helper.make_node("Identity", [tensor], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "tokens"])]
    return helper.make_model(
        helper.make_graph(graph.nodes, "encoder", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(ORT_DOMAIN, 1)],
        ir_version=_IR_VERSION,
        producer_name="rung",
    )
