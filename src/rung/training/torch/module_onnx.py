"""Write parts that networks share as nodes of an ONNX graph, with the onnx package alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from rung.training.onnx.graph import Graph
from rung.training.torch.text_networks import TransformerLayer

# Operators of ONNX Runtime beyond the standard.
ORT = "com.microsoft"
_OPSET, _IR_VERSION = 21, 10


def array(tensor: Tensor) -> npt.NDArray[np.float32]:
    """Return a tensor for numpy."""
    return np.asarray(tensor.detach().cpu().numpy(), np.float32)


class ModuleWriter:
    """Writes modules into a graph; every method returns the name of a tensor."""

    def __init__(self) -> None:
        self.graph = Graph()

    def node(self, operator: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        return self.graph.node(operator, inputs, domain, **attributes)

    def ints(self, *values: int) -> str:
        return self.graph.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.graph.constant(np.float32(value))

    def constant(self, tensor: Tensor) -> str:
        return self.graph.constant(array(tensor))

    def linear(self, x: str, layer: nn.Linear) -> str:
        product = self.node("MatMul", [x, self.graph.constant(array(layer.weight).T)])
        return product if layer.bias is None else self.node("Add", [product, self.constant(layer.bias)])

    def norm(self, x: str, layer: nn.LayerNorm) -> str:
        inputs = [x, self.constant(layer.weight), self.constant(layer.bias)]
        return self.node("LayerNormalization", inputs, epsilon=layer.eps)

    def transformer_layer(self, states: str, layer: TransformerLayer, keys: str, causal: bool = False) -> str:
        """keys: mask of what is no padding, [rows, tokens], or "" for none. causal: no token sees those after it."""
        qkv = self.linear(self.norm(states, layer.attention_norm), layer.qkv)
        query, key, value = self.graph.split("Split", [qkv], 3, axis=-1, num_outputs=3)
        mask = {"unidirectional": 1} if causal else {}
        parts = [query, key, value, "", keys] if keys else [query, key, value]
        mixed = self.node("MultiHeadAttention", parts, ORT, num_heads=layer.heads, **mask)
        states = self.node("Add", [states, self.linear(mixed, layer.out)])
        raised = self.linear(self.norm(states, layer.inner_norm), layer.up)
        inner = self.node("Gelu", [raised], ORT)
        return self.node("Add", [states, self.linear(inner, layer.down)])

    def file(
        self, name: str, inputs: Sequence[Any], output: str, shown: Any, more: Sequence[tuple[str, Any]] = ()
    ) -> bytes:
        """Return the ONNX file. inputs: their descriptions. output: the tensor that it returns, as `shown` describes it; more: others."""
        from onnx import helper

        for tensor, described in ((output, shown), *more):
            self.graph.nodes.append(helper.make_node("Identity", [tensor], [described.name]))
        model = helper.make_model(
            helper.make_graph(
                self.graph.nodes,
                name,
                list(inputs),
                [shown, *(described for _, described in more)],
                self.graph.constants,
            ),
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(ORT, 1)],
            ir_version=_IR_VERSION,
            producer_name="rung",
        )
        return bytes(model.SerializeToString())
