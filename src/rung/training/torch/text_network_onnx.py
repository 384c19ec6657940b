"""Write a network that reads token ids as an ONNX graph with the onnx package alone.

The graph takes input_ids and attention_mask, int64 [rows, tokens], and returns logits, float32 [rows, labels].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from rung.training.torch.module_onnx import ModuleWriter, array
from rung.training.torch.text_networks import (
    MASKED,
    AttentionPooling,
    CnnText,
    Mlp,
    Recurrent,
    TokenEmbedding,
    Transformer,
    TransformerLayer,
)

# Order of the gates in ONNX, as places of torch's: i f g o -> i o f c, and r z n -> z r h.
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


def write_network(network: nn.Module, labels: int) -> bytes:
    """Return the ONNX file of a network of `text_networks`."""
    writer = _Writer()
    if isinstance(network, Mlp):
        logits = writer.mlp(network)
    elif isinstance(network, CnnText):
        logits = writer.cnn(network)
    elif isinstance(network, Recurrent):
        logits = writer.recurrent(network)
    elif isinstance(network, Transformer):
        logits = writer.transformer(network)
    else:
        raise TypeError(f"{type(network).__name__} is not a network of token ids")
    return _file(writer, logits, labels)


class _Writer(ModuleWriter):
    """Writes the parts of networks of token ids; every method returns the name of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = self.node("Cast", ["attention_mask"], to=1)  # [rows, tokens], float
        self.wide_mask = self.node("Unsqueeze", [self.mask, self.ints(2)])  # [rows, tokens, 1]

    def embed(self, embedding: TokenEmbedding) -> str:
        """Half precision holds the table: `round_to_half` has made it exact."""
        table = embedding.table()
        half = table.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), table):
            return self.node("Gather", [self.graph.constant(table), "input_ids"])
        return self.node("Cast", [self.node("Gather", [self.graph.constant(half), "input_ids"])], to=1)

    def mean(self, states: str) -> str:
        total = self.node("ReduceSum", [self.node("Mul", [states, self.wide_mask]), self.ints(1)], keepdims=0)
        return self.node("Div", [total, self.node("ReduceSum", [self.mask, self.ints(1)], keepdims=1)])

    def penalty(self, mask: str) -> str:
        """0 where there is a token, MASKED where there is padding."""
        missing = self.node("Sub", [self.number(1.0), mask])
        return self.node("Mul", [missing, self.number(MASKED)])

    def mlp(self, network: Mlp) -> str:
        pooled = self.mean(self.embed(network.embedding))
        return self.linear(self.node("Relu", [self.linear(pooled, network.hidden)]), network.head)

    def cnn(self, network: CnnText) -> str:
        masked = self.node("Mul", [self.embed(network.embedding), self.wide_mask])
        embedded = self.node("Transpose", [masked], perm=[0, 2, 1])
        penalty = self.penalty(self.node("Unsqueeze", [self.mask, self.ints(1)]))
        parts = []
        for width, layer in zip(network.WIDTHS, network.convolutions, strict=True):
            inputs = [embedded, self.constant(layer.weight), self.constant(layer.bias)]  # type: ignore[arg-type]
            found = self.node("Conv", inputs, kernel_shape=[width], pads=list(network.padding(width)))
            shown = self.node("Add", [self.node("Relu", [found]), penalty])
            parts.append(self.node("ReduceMax", [shown, self.ints(2)], keepdims=0))
        return self.linear(self.node("Concat", parts, axis=1), network.head)

    def recurrent(self, network: Recurrent) -> str:
        lengths = self.node("Cast", [self.node("ReduceSum", [self.mask, self.ints(1)], keepdims=0)], to=6)
        states = self.embed(network.embedding)
        for layer in network.layers:
            if not isinstance(layer, nn.LSTM | nn.GRU):
                raise TypeError(type(layer).__name__)
            states = self.both_directions(states, lengths, layer)
        return self.linear(self.pool(states, network.pooling), network.head)

    def both_directions(self, states: str, lengths: str, layer: nn.LSTM | nn.GRU) -> str:
        operator = "LSTM" if isinstance(layer, nn.LSTM) else "GRU"

        def gates(kind: str) -> npt.NDArray[np.float32]:
            """Both directions' tensors, with their gates in ONNX's order."""
            found = []
            for suffix in ("", "_reverse"):
                parts = np.split(array(getattr(layer, f"{kind}_l0{suffix}")), len(_GATES[operator]))
                found.append(np.concatenate([parts[place] for place in _GATES[operator]]))
            return np.stack(found)

        biases = np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1)
        weights = [self.graph.constant(gates(kind)) for kind in ("weight_ih", "weight_hh")]
        inputs = [
            self.node("Transpose", [states], perm=[1, 0, 2]),
            *weights,
            self.graph.constant(biases),
            lengths,
        ]
        reset: dict[str, Any] = {"linear_before_reset": 1} if operator == "GRU" else {}
        found = self.node(operator, inputs, hidden_size=layer.hidden_size, direction="bidirectional", **reset)
        by_row = self.node("Transpose", [found], perm=[2, 0, 1, 3])  # [rows, tokens, directions, hidden]
        return self.node("Reshape", [by_row, self.ints(0, 0, 2 * layer.hidden_size)])

    def pool(self, states: str, pooling: AttentionPooling) -> str:
        inner = self.node("Tanh", [self.linear(states, pooling.inner)])
        scores = self.node("Add", [self.linear(inner, pooling.score), self.penalty(self.wide_mask)])
        weights = self.node("Softmax", [scores], axis=1)
        return self.node("ReduceSum", [self.node("Mul", [weights, states]), self.ints(1)], keepdims=0)

    def transformer(self, network: Transformer) -> str:
        length = self.node("Gather", [self.node("Shape", ["input_ids"]), self.ints(1)])
        positions = self.node("Slice", [self.constant(network.positions.weight), self.ints(0), length])
        scaled = self.node("Mul", [self.embed(network.embedding), self.constant(network.scale)])
        states = self.node("Add", [scaled, positions])
        keys = self.node("Cast", ["attention_mask"], to=6)
        for layer in network.layers:
            if not isinstance(layer, TransformerLayer):
                raise TypeError(type(layer).__name__)
            states = self.transformer_layer(states, layer, keys)
        return self.linear(self.mean(self.norm(states, network.norm)), network.head)


def _file(writer: _Writer, logits: str, labels: int) -> bytes:
    from onnx import TensorProto, helper

    sides = ["rows", "tokens"]
    inputs = [
        helper.make_tensor_value_info(n, TensorProto.INT64, sides) for n in ("input_ids", "attention_mask")
    ]
    shown = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", labels])
    return writer.file("text", inputs, logits, shown)
