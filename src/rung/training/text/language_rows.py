"""Prompts and texts as units for language models: which units, and documents with their marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rung.core.types import Examples
from rung.modalities.text.ideographs import ideograph_share
from rung.modalities.text.token_units import END, MARK, START, TokenUnits
from rung.modalities.text.writer import TextFinisher, stored_texts
from rung.training.text.vocabulary import learn_language_vocabulary

# Fewer characters than this are too few to learn parts of words from.
_SUBWORD_CHARS = 300_000
_MOST_CHARACTERS = 6_000
# Characters of a prompt that a language model learns from: its end.
MOST_PROMPT_CHARS = 2_000


@dataclass(frozen=True)
class TextPairs:
    """Prompts and texts, one entry a row."""

    prompts: Sequence[str]
    texts: Sequence[str]

    @staticmethod
    def of(examples: Examples, finisher: TextFinisher) -> TextPairs:
        """Return those of examples."""
        prompts = [prompt[-MOST_PROMPT_CHARS:] for prompt in finisher.prompts(examples.inputs)]
        return TextPairs(stored_texts(prompts), stored_texts(examples.targets))

    def documents(self, units: TokenUnits) -> list[list[int]]:
        """Return each row as units: start, prompt, mark, text, end."""
        return [
            [START, *units.encode(prompt), MARK, *units.encode(text), END]
            for prompt, text in zip(self.prompts, self.texts, strict=True)
        ]


def units_for(
    pairs: TextPairs, unit: Literal["auto", "character", "subword"], vocabulary_size: int
) -> TokenUnits:
    """Return the units of a model: characters for ideographs and for little text, else parts of words learned from it."""
    both = [*pairs.prompts, *pairs.texts]
    if unit == "auto":
        is_wide = ideograph_share("".join(text[:200] for text in both[:500])) > 0.3
        unit = "character" if is_wide or sum(map(len, both)) < _SUBWORD_CHARS else "subword"
    if unit == "character":
        return TokenUnits.of_characters(both, _MOST_CHARACTERS)
    return TokenUnits("subword", learn_language_vocabulary(both, vocabulary_size))
