"""A language model of two networks: one reads the prompt once, the other writes and attends to what was read.

The encoder gives the memory that the decoder begins with; the rest is as in `network_language`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

import numpy as np

from rung.core.errors import BundleError
from rung.modalities.text.network_language import MEMORY_FILE, LanguageState, Memory, NetworkLanguage
from rung.modalities.text.token_units import MARK, START, TokenUnits
from rung.runtime.onnx.session import OnnxFile
from rung.runtime.onnx.trained_network import MODEL_FILE

ENCODER_FILE = "encoder.onnx"
# Units of a prompt that are read: its end, where it is longer. Characters that are looked at for each.
_MOST, _CHARS_PER_UNIT = 1_000, 16


class PairNetwork(NetworkLanguage):
    """An encoder and a decoder."""

    def __init__(
        self, units: TokenUnits, content: bytes, memory: Memory, encoder: bytes, where: str = MODEL_FILE
    ) -> None:
        """content: of the decoder."""
        super().__init__(units, content, memory, where)
        self.encoder = encoder
        self._reader = OnnxFile(Path(ENCODER_FILE), encoder, ENCODER_FILE)
        # Of the memory, all but what was read are states of layers.
        self._states = tuple(f"out_{n}" for n in range(len(memory.shapes) - 1))
        found = {node.name for node in self._reader.session.get_outputs()}
        if found != {"read", *self._states}:
            raise BundleError("the encoder does not fit its decoder", ENCODER_FILE, "Build it again.")

    def begin(self, prompt: str) -> LanguageState:
        ids = self.units.encode(prompt[-_CHARS_PER_UNIT * _MOST :])[-_MOST:]
        feed = {"ids": np.array([[START, *ids]], np.int64)}
        read, *states = self._reader.run_all(("read", *self._states), feed)
        return self._read((MARK,), LanguageState((), (*states, read), np.zeros(0, np.float32)))

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / ENCODER_FILE).write_bytes(self.encoder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        facts = json.loads((folder / MEMORY_FILE).read_text(encoding="utf-8"))
        memory = Memory(tuple(map(tuple, facts["shapes"])), int(facts["most"]))
        decoder, encoder = ((folder / name).read_bytes() for name in (MODEL_FILE, ENCODER_FILE))
        return cls(TokenUnits.load(folder), decoder, memory, encoder)
