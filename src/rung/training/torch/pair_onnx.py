"""Write an encoder and a decoder as two ONNX graphs: see `modalities.text.pair_language`."""

from __future__ import annotations

from typing import Any

from rung.modalities.text.network_language import Memory
from rung.training.torch.language_networks import PairLanguage
from rung.training.torch.language_onnx import LanguageWriter


def write_pair(module: PairLanguage) -> tuple[bytes, Memory, bytes]:
    """Return the ONNX file of the decoder, what it remembers, and the ONNX file of the encoder."""
    reader, writer = _PairWriter(module), _PairWriter(module)
    # The states of the last layer stay what the decoder attends to.
    writer.memory = Memory((*writer.memory.shapes, (1, 0, module.shape.width)), 0)
    return writer.graph_file(writer.decoder(module)), writer.memory, reader.encoder(module)


class _PairWriter(LanguageWriter):
    """Writes one of both graphs."""

    def decoder(self, module: PairLanguage) -> str:
        """Return the logits; `kept` are the states, and what was read as it came."""
        states = self.lstm_layers(self.looked_up("ids"), module.decoder)
        written = self.node("Transpose", [states], perm=[1, 0, 2])
        read = f"in_{len(self.memory.shapes) - 1}"
        turned = self.node("Transpose", [read], perm=[0, 2, 1])
        asks = self.node("MatMul", [written, self.constant(module.attention.weight.T.contiguous())])
        weights = self.node("Softmax", [self.node("MatMul", [asks, turned])], axis=-1)
        both = self.node("Concat", [self.node("MatMul", [weights, read]), written], axis=-1)
        self.kept.append(self.node("Identity", [read]))
        return self.logits(self.node("Tanh", [self.linear(both, module.mixed)]))

    def encoder(self, module: PairLanguage) -> bytes:
        """Return the graph: ids [1, units] -> states of the last layer [1, units, width], and the last states of all layers."""
        from onnx import TensorProto, helper

        states = self.lstm_layers(self.looked_up("ids"), module.encoder, begins=True)
        read = self.node("Transpose", [states], perm=[1, 0, 2])
        width = module.shape.width

        def value(name: str, shape: list[Any]) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "units"])
        kept = [(name, value(f"out_{n}", [1, 1, width])) for n, name in enumerate(self.kept)]
        return self.file("encoder", [ids], read, value("read", [1, "units", width]), kept)
