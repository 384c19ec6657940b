"""Write a language model as an ONNX graph that hands its memory on: see `modalities.text.network_language`."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from rung.modalities.text.network_language import Memory
from rung.training.torch.language_networks import LstmLanguage, PairLanguage, TransformerLanguage
from rung.training.torch.module_onnx import ModuleWriter, array
from rung.training.torch.text_networks import MASKED, TransformerLayer

# Order of the gates in ONNX, as places of torch's: i f g o -> i o f c.
_GATES = (0, 3, 1, 2)


def write_language(module: LstmLanguage | TransformerLanguage) -> tuple[bytes, Memory]:
    """Return the ONNX file of a language model, and what it remembers."""
    writer = LanguageWriter(module)
    logits = writer.lstm(module) if isinstance(module, LstmLanguage) else writer.transformer(module)
    return writer.graph_file(logits), writer.memory


class LanguageWriter(ModuleWriter):
    """Writes the parts; `kept` are the tensors that the graph hands on."""

    def __init__(self, module: LstmLanguage | TransformerLanguage | PairLanguage) -> None:
        super().__init__()
        shape = module.shape
        self.vocabulary, self.kept = shape.vocabulary, list[str]()
        self.table = self.constant(module.embedding.weight)
        self.bias = self.constant(module.bias)
        is_lstm = not isinstance(module, TransformerLanguage)
        each = (1, 1, shape.width) if is_lstm else (1, shape.heads, 0, shape.width // shape.heads)
        self.memory = Memory((each,) * (2 * shape.layers), 0 if is_lstm else shape.most)

    def logits(self, states: str) -> str:
        transposed = self.node("Transpose", [self.table], perm=[1, 0])
        return self.node("Add", [self.node("MatMul", [states, transposed]), self.bias])

    def lstm(self, module: LstmLanguage) -> str:
        """The ids of one row: [1, units] is also [units, 1] turned round."""
        states = self.lstm_layers(self.looked_up("ids"), module.layers)
        return self.logits(self.node("Transpose", [states], perm=[1, 0, 2]))

    def looked_up(self, ids: str) -> str:
        """Return the embeddings of ids [1, units], as [units, 1, width]."""
        return self.node("Transpose", [self.node("Gather", [self.table, ids])], perm=[1, 0, 2])

    def lstm_layers(self, states: str, layers: nn.ModuleList, *, begins: bool = False) -> str:
        """Return the states [units, 1, width] above some layers. begins: from nothing, instead of from the memory."""
        for number, layer in enumerate(layers):
            if not isinstance(layer, nn.LSTM):
                raise TypeError(type(layer).__name__)

            def gates(kind: str, layer: nn.LSTM = layer) -> Any:
                parts = np.split(array(getattr(layer, f"{kind}_l0")), 4)
                return np.concatenate([parts[place] for place in _GATES])[None]

            biases = np.concatenate([gates("bias_ih"), gates("bias_hh")], axis=1)
            weights = [self.graph.constant(gates(kind)) for kind in ("weight_ih", "weight_hh")]
            before = [] if begins else ["", f"in_{2 * number}", f"in_{2 * number + 1}"]
            inputs = [states, *weights, self.graph.constant(biases), *before]
            found, state, cell = self.graph.split("LSTM", inputs, 3, hidden_size=layer.hidden_size)
            self.kept += [state, cell]
            states = self.node("Squeeze", [found, self.ints(1)])
        return states

    def transformer(self, module: TransformerLanguage) -> str:
        new = self.node("Gather", [self.node("Shape", ["ids"]), self.ints(1)])
        past = self.node("Gather", [self.node("Shape", ["in_0"]), self.ints(2)])
        total = self.node("Add", [past, new])
        positions = self.node("Slice", [self.constant(module.positions.weight), past, total, self.ints(0)])
        states = self.node("Add", [self.node("Gather", [self.table, "ids"]), positions])
        hidden = self._later(past, total)
        for number, layer in enumerate(module.layers):
            if not isinstance(layer, TransformerLayer):
                raise TypeError(type(layer).__name__)
            states = self.layer(states, layer, number, hidden, module.shape.width)
        return self.logits(self.norm(states, module.norm))

    def _later(self, past: str, total: str) -> str:
        """Return MASKED where a key comes after the unit that asks, else 0: [units, keys]."""
        zero, one = (self.graph.constant(np.array(n, np.int64)) for n in (0, 1))
        keys = self.node("Range", [zero, self.node("Squeeze", [total]), one])
        asks = self.node("Range", [self.node("Squeeze", [past]), self.node("Squeeze", [total]), one])
        comes = self.node("Greater", [keys, self.node("Unsqueeze", [asks, self.ints(1)])])
        return self.node("Mul", [self.node("Cast", [comes], to=1), self.number(MASKED)])

    def layer(self, states: str, layer: TransformerLayer, number: int, hidden: str, width: int) -> str:
        qkv = self.linear(self.norm(states, layer.attention_norm), layer.qkv)
        each = width // layer.heads
        parts = self.graph.split("Split", [qkv], 3, axis=-1, num_outputs=3)
        by_head = [
            self.node(
                "Transpose",
                [self.node("Reshape", [part, self.ints(0, 0, layer.heads, each)])],
                perm=[0, 2, 1, 3],
            )
            for part in parts
        ]
        keys, values = (
            self.node("Concat", [f"in_{2 * number + place}", own], axis=2)
            for place, own in enumerate(by_head[1:])
        )
        self.kept += [keys, values]
        scores = self.node("MatMul", [by_head[0], self.node("Transpose", [keys], perm=[0, 1, 3, 2])])
        scaled = self.node("Mul", [scores, self.number(each**-0.5)])
        weights = self.node("Softmax", [self.node("Add", [scaled, hidden])], axis=-1)
        mixed = self.node("Transpose", [self.node("MatMul", [weights, values])], perm=[0, 2, 1, 3])
        states = self.node(
            "Add", [states, self.linear(self.node("Reshape", [mixed, self.ints(0, 0, width)]), layer.out)]
        )
        raised = self.linear(self.norm(states, layer.inner_norm), layer.up)
        inner = self.node("Gelu", [raised], "com.microsoft")
        return self.node("Add", [states, self.linear(inner, layer.down)])

    def graph_file(self, logits: str) -> bytes:
        """Return the file, with the memory among its inputs and outputs."""
        from onnx import TensorProto, helper

        def kept(side: str, number: int) -> Any:
            shape = [
                f"{side}_{number}_{axis}" if size == 0 else size
                for axis, size in enumerate(self.memory.shapes[number])
            ]
            return helper.make_tensor_value_info(f"{side}_{number}", TensorProto.FLOAT, shape)

        numbers = range(len(self.memory.shapes))
        inputs = [
            helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "units"]),
            *(kept("in", n) for n in numbers),
        ]
        shown = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, "units", self.vocabulary])
        return self.file(
            "language", inputs, logits, shown, [(name, kept("out", n)) for n, name in enumerate(self.kept)]
        )
