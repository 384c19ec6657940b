"""More training rows out of those there are: words dropped, characters mistyped. The label stays, the text varies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from rung.modalities.text.ngrams import word_spans

AugmentKind = Literal["none", "words", "chars", "auto"]
# A tenth of the words, a twentieth of the characters: more changes what a text says (Wei & Zou 2019, EDA).
_WORDS, _CHARS = 0.1, 0.05


def augment_texts(texts: Sequence[str], kind: str, seed: int) -> list[str]:
    """Return one variant of each folded text; the same seed gives the same variants, whatever the order of calls.

    words: each word is dropped with a chance of a tenth, a Chinese character counting as a word. chars: each
    letter is dropped, doubled or swapped with its neighbour with a chance of a twentieth.
    """
    vary = _drop_words if kind == "words" else _add_typos
    return [vary(text, np.random.default_rng([seed, i])) for i, text in enumerate(texts)]


def _drop_words(text: str, rng: np.random.Generator) -> str:
    spans = word_spans(text)
    dropped = rng.random(len(spans)) < _WORDS
    if dropped.all():
        return text
    parts, at = [], 0
    for (start, end), gone in zip(spans, dropped.tolist(), strict=True):
        parts.append(text[at:start] if gone else text[at:end])
        at = end
    return " ".join("".join([*parts, text[at:]]).split())


def _add_typos(text: str, rng: np.random.Generator) -> str:
    chars = list(text)
    places = np.flatnonzero(rng.random(len(chars)) < _CHARS).tolist()
    ways = rng.integers(0, 3, len(places)).tolist()
    for place, way in zip(places, ways, strict=True):
        if not chars[place].strip():
            continue
        if way == 0:
            chars[place] = ""
        elif way == 1:
            chars[place] *= 2
        elif place + 1 < len(chars):
            chars[place], chars[place + 1] = chars[place + 1], chars[place]
    return " ".join("".join(chars).split()) or text
