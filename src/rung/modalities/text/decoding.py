"""Draw text from a language model, sentence by sentence."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.sentences import ends_sentence
from rung.modalities.text.token_units import END, SPECIAL, TokenUnits
from rung.modalities.text.writing_options import WritingOptions

Floats = npt.NDArray[np.float64]
# Units of one sentence, at most: four bytes are a character at worst, and a sentence has no more than 480.
_MOST_UNITS = 2_000


class LanguageModel(ABC):
    """Gives the probability of each unit after those before it. A state is a value: going on changes none."""

    units: TokenUnits

    @abstractmethod
    def begin(self, prompt: str) -> Any:
        """Return the state after the start, a prompt (its end, where it is longer than the model reads) and the mark."""

    @abstractmethod
    def chances(self, state: Any) -> Floats:
        """Return the probability of each unit to come next, [units]."""

    @abstractmethod
    def after(self, state: Any, unit: int) -> Any:
        """Return the state after one more unit."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write it into a folder of a bundle."""

    def bits(self, prompt: str, text: str) -> tuple[float, int]:
        """Return the bits that a text and its end take after a prompt, and the characters of the text.

        A character that the units lack takes 20 bits more than the mark for such ones: one of all there are.
        """
        state, total = self.begin(prompt), 0.0
        for unit in [*self.units.encode(text), END]:
            total -= float(np.log2(max(self.chances(state)[unit], 1e-30)))
            total += 20.0 if unit == 0 else 0.0
            state = self.after(state, unit)
        return total, len(text)


class DecodedSentences:
    """The sentences of one text, drawn from a language model."""

    def __init__(self, model: LanguageModel, prompt: str, options: WritingOptions, candidate: int) -> None:
        """candidate: number of the text among several drawn for one prompt."""
        self._model, self._options = model, options
        self._state = self._next_state = model.begin(prompt)
        self._key = f"{options.seed} {candidate} {prompt}"
        self._sentence = 0

    def next(self, again: int) -> tuple[str, bool] | None:
        if again and not self._options.temperature:
            return None  # The likeliest sentence is the same each time.
        rng = np.random.default_rng(_number(f"{self._sentence} {again} {self._key}"))
        state, ids, text = self._state, list[int](), ""
        pieces = self._model.units.pieces
        while len(ids) < _MOST_UNITS:
            unit = draw(self._model.chances(state), self._options, rng)
            if unit == END:
                self._next_state = state
                return text, True
            state = self._model.after(state, unit)
            ids.append(unit)
            text = (
                text + pieces[unit].decode("ascii")
                if pieces[unit].isascii()
                else self._model.units.decode(ids)
            )
            if text and not text.endswith("\ufffd") and ends_sentence(text):
                break
        self._next_state = state
        return text, not ids

    def accept(self) -> None:
        self._state = self._next_state
        self._sentence += 1


def draw(chances: Floats, options: WritingOptions, rng: np.random.Generator) -> int:
    """Return the next unit: text or the end, never another mark."""
    odds = chances.copy()
    odds[: len(SPECIAL) - 1] = 0.0
    if not options.temperature:
        return int(odds.argmax())
    top_k = options.top_k
    if 0 < top_k < len(odds):
        odds[odds < np.partition(odds, -top_k)[-top_k]] = 0.0
    odds = odds / odds.max()
    odds **= 1.0 / options.temperature
    odds /= odds.sum()
    if options.top_p < 1.0:
        order = np.argsort(-odds, kind="stable")
        over = np.cumsum(odds[order]) - odds[order] >= options.top_p
        odds[order[over]] = 0.0
        odds /= odds.sum()
    place = int(np.searchsorted(np.cumsum(odds), rng.random() * odds.sum(), side="right"))
    return min(place, len(odds) - 1)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")
