"""Choose what a language model writes with: the temperature, on rows held out of its training; and its bits per character there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.decoding import DecodedSentences, LanguageModel
from rung.modalities.text.likeness import chrf
from rung.modalities.text.writer import TextFinisher
from rung.modalities.text.writing_options import WritingOptions
from rung.training.text.language_rows import TextPairs

TEMPERATURES = (0.0, 0.5, 0.8)
# Rows that are written for each temperature, by effort; rows and characters whose bits are counted.
_WRITTEN = (8, 12, 20, 40, 80, 120)
_READ, _MOST_CHARS = 200, 12_000


def bits_per_character(model: LanguageModel, pairs: TextPairs) -> dict[str, Any]:
    """Return the bits per character of texts after their prompts, ends included, and how many characters were read."""
    bits, chars = 0.0, 0
    for prompt, text in list(zip(pairs.prompts, pairs.texts, strict=True))[:_READ]:
        own, length = model.bits(prompt, text)
        bits, chars = bits + own, chars + length
        if chars > _MOST_CHARS:
            break
    return {"bits_per_character": round(bits / max(chars, 1), 4), "characters_read": chars}


def choose_temperature(
    model: LanguageModel, held: Examples, finisher: TextFinisher, context: FitContext
) -> tuple[float, dict[str, float]]:
    """Return the temperature whose texts are most like the truth by chrF, and the score of each that was tried.

    held: rows that the model has not learned from. Where the product names a temperature, nothing is tried.
    """
    if finisher.rules.temperature is not None:
        return finisher.rules.temperature, {}
    if not len(held):
        return TEMPERATURES[1], {}
    some = held.take(list(range(0, len(held), max(len(held) // _WRITTEN[context.effort], 1))))
    rows, truths = finisher.rows(some.inputs), [str(target) for target in some.targets]
    scores = {f"{t:g}": _score(model, rows, truths, finisher, t) for t in TEMPERATURES}
    best = max(scores, key=lambda name: scores[name])
    return float(best), scores


def _score(
    model: LanguageModel, rows: Sequence[tuple[str, WritingOptions]], truths: Sequence[str],
    finisher: TextFinisher, temperature: float,
) -> float:  # fmt: skip
    def sentences(prompt: str, options: WritingOptions, number: int) -> DecodedSentences:
        return DecodedSentences(model, prompt, options, number)

    found = []
    for (prompt, _), truth in zip(rows, truths, strict=True):
        options = WritingOptions(temperature=temperature, candidates=1)
        found.append(chrf(truth, str(finisher.write(prompt, options, sentences).value)))
    return round(math.fsum(found) / len(found), 4)
