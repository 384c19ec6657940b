"""A trained language model as an ONNX graph that reads units one after the other and hands its memory on.

Inputs: `ids`, int64 [1, units], and `in_<n>`, the memory so far. Outputs: `logits`, float32 [1, units, vocabulary], and `out_<n>`. The
memory of an LSTM is its state; that of a transformer the keys and values of all units so far, which grow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.modalities.text.decoding import Floats, LanguageModel
from rung.modalities.text.token_units import END, MARK, START, UNKNOWN, TokenUnits
from rung.runtime.onnx.session import OnnxFile
from rung.runtime.onnx.trained_network import MODEL_FILE

MEMORY_FILE = "memory.json"
# Characters of a prompt that are read for each unit that the model remembers.
_CHARS_PER_UNIT = 16
Tensors = tuple[npt.NDArray[np.float32], ...]


@dataclass(frozen=True)
class Memory:
    """What a graph remembers. shapes: of each tensor before the first unit. most: units at a time; 0 for no limit."""

    shapes: tuple[tuple[int, ...], ...]
    most: int


class LanguageState(NamedTuple):
    """ids: units read, as far as they may be read again. logits: of the unit to come."""

    ids: tuple[int, ...]
    memory: Tensors
    logits: npt.NDArray[np.float32]


class NetworkLanguage(LanguageModel):
    """A network over units."""

    def __init__(self, units: TokenUnits, content: bytes, memory: Memory, where: str = MODEL_FILE) -> None:
        self.units, self.content, self.memory = units, content, memory
        self._file = OnnxFile(Path(MODEL_FILE), content, where)
        known = {node.name for node in self._file.session.get_inputs()}
        if known != {"ids", *(f"in_{n}" for n in range(len(memory.shapes)))}:
            raise BundleError("the network is no language model of this kind", where, "Build it again.")
        if self._file.session.get_outputs()[0].shape[-1] != len(units):
            raise BundleError("the network does not fit its units", where, "Build it again.")
        self._outputs = ("logits", *(f"out_{n}" for n in range(len(memory.shapes))))

    def begin(self, prompt: str) -> LanguageState:
        # A prompt that is longer than the model reads is known by its end.
        most = self.memory.most // 2 if self.memory.most else 1_000
        ids = self.units.encode(prompt[-_CHARS_PER_UNIT * most :])[-most:]
        return self._read((START, *ids, MARK))

    def chances(self, state: LanguageState) -> Floats:
        odds = np.exp(state.logits.astype(np.float64) - float(state.logits.max()))
        return np.asarray(odds / odds.sum())

    def after(self, state: LanguageState, unit: int) -> LanguageState:
        most = self.memory.most
        if not most:
            return self._read((unit,), state)
        ids = (*state.ids, unit)
        if len(ids) > most:
            # What was long ago is forgotten, and the rest read again.
            return self._read((START, *ids[-most // 2 :]))
        return self._read((unit,), state)

    def bits(self, prompt: str, text: str) -> tuple[float, int]:
        ids = [*self.units.encode(text), END]
        state = self.begin(prompt)
        if self.memory.most and len(state.ids) + len(ids) > self.memory.most:
            return super().bits(prompt, text)
        found = (
            self._run(ids[:-1], state.memory)[0]
            if len(ids) > 1
            else np.zeros((0, len(self.units)), np.float32)
        )
        logits = np.concatenate([state.logits[None], found]).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        own = logits[np.arange(len(ids)), ids] - np.log(np.exp(logits).sum(axis=1))
        return float(-own.sum() / np.log(2.0)) + 20.0 * ids.count(UNKNOWN), len(text)

    def _read(self, ids: Sequence[int], before: LanguageState | None = None) -> LanguageState:
        memory = self._empty() if before is None else before.memory
        logits, after = self._run(ids, memory)
        kept = (*(before.ids if before is not None else ()), *ids) if self.memory.most else ()
        return LanguageState(kept, after, logits[-1])

    def _run(self, ids: Sequence[int], memory: Tensors) -> tuple[npt.NDArray[np.float32], Tensors]:
        """Return the logits after each unit, [units, vocabulary], and the memory after the last."""
        feed: dict[str, Any] = {"ids": np.array([ids], np.int64)}
        feed |= {f"in_{n}": tensor for n, tensor in enumerate(memory)}
        logits, *after = self._file.run_all(self._outputs, feed)
        return logits[0], tuple(after)

    def _empty(self) -> Tensors:
        return tuple(np.zeros(shape, np.float32) for shape in self.memory.shapes)

    def save(self, folder: Path) -> None:
        (folder / MODEL_FILE).write_bytes(self.content)
        (folder / MEMORY_FILE).write_text(json.dumps(asdict(self.memory)) + "\n", encoding="utf-8")
        self.units.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        facts = json.loads((folder / MEMORY_FILE).read_text(encoding="utf-8"))
        memory = Memory(tuple(map(tuple, facts["shapes"])), int(facts["most"]))
        return cls(TokenUnits.load(folder), (folder / MODEL_FILE).read_bytes(), memory)
