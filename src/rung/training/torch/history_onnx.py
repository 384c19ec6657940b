"""Write a network over histories as an ONNX graph: `events`, float32 [rows, events, width], in; `user`, [rows, width], out."""

from __future__ import annotations

import numpy as np
from torch import nn

from rung.training.torch.history_networks import SasRec, UserTower
from rung.training.torch.module_onnx import ModuleWriter
from rung.training.torch.text_networks import TransformerLayer


def write_history_network(encoder: nn.Module, width: int) -> bytes:
    """Return the ONNX file of an encoder of `history_networks`: the vector of a user after the last event."""
    from onnx import TensorProto, helper

    writer = ModuleWriter()
    if isinstance(encoder, SasRec):
        user = _sasrec(writer, encoder)
    elif isinstance(encoder, UserTower):
        user = _tower(writer, encoder)
    else:
        raise TypeError(f"{type(encoder).__name__} is not a network over histories")
    read = helper.make_tensor_value_info("events", TensorProto.FLOAT, ["rows", "events", width])
    shown = helper.make_tensor_value_info("user", TensorProto.FLOAT, ["rows", width])
    return writer.file("history", [read], user, shown)


def _count(writer: ModuleWriter) -> str:
    """Return how many events there are, as [1]."""
    return writer.node("Gather", [writer.node("Shape", ["events"]), writer.ints(1)])


def _sasrec(writer: ModuleWriter, encoder: SasRec) -> str:
    positions = writer.node(
        "Slice", [writer.constant(encoder.positions.weight), writer.ints(0), _count(writer)]
    )
    states = writer.node("Add", ["events", positions])
    for layer in encoder.layers:
        if not isinstance(layer, TransformerLayer):
            raise TypeError(type(layer).__name__)
        states = writer.transformer_layer(states, layer, "", causal=True)
    last = writer.graph.constant(np.array(-1, np.int64))
    return writer.norm(writer.node("Gather", [states, last], axis=1), encoder.norm)


def _tower(writer: ModuleWriter, encoder: UserTower) -> str:
    plain = writer.node("ReduceMean", ["events", writer.ints(1)], keepdims=0)
    # Weights of the events, the last one first: powers of the decay, as many as there are events.
    count = writer.node("Squeeze", [_count(writer)])
    number = writer.graph.constant(np.array(0, np.int64)), writer.graph.constant(np.array(-1, np.int64))
    back = writer.node("Range", [writer.node("Add", [count, number[1]]), number[1], number[1]])
    powers = writer.node("Pow", [writer.number(encoder.DECAY), writer.node("Cast", [back], to=1)])
    shares = writer.node("Div", [powers, writer.node("ReduceSum", [powers], keepdims=1)])
    # [events] times [rows, events, width]: [rows, width].
    late = writer.node("MatMul", [shares, "events"])
    both = writer.norm(writer.node("Concat", [plain, late], axis=1), encoder.norm)
    return writer.linear(writer.node("Relu", [writer.linear(both, encoder.hidden)]), encoder.out)
