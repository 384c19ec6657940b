"""Augment texts: drop words or add typos; the label stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from rung.modalities.text.ngrams import word_spans

AugmentKind = Literal["none", "words", "chars", "auto"]
# 10 % of the words, 5 % of the characters: more changes the meaning (Wei & Zou 2019, EDA).
_DROP_RATE, _TYPO_RATE = 0.1, 0.05


def augment_texts(texts: Sequence[str], kind: str, seed: int) -> list[str]:
    """Return one variant of each normalised text; the same seed gives the same variants, in any order of
    calls.

    words: each word is dropped with probability 0.1; a Chinese character counts as a word. chars: each letter
    is dropped, doubled or swapped with its neighbour with probability 0.05.
    """
    augment = _drop_words if kind == "words" else _add_typos
    return [augment(text, np.random.default_rng([seed, i])) for i, text in enumerate(texts)]


def _drop_words(text: str, rng: np.random.Generator) -> str:
    spans = word_spans(text)
    dropped = rng.random(len(spans)) < _DROP_RATE
    if dropped.all():
        return text
    parts, at = [], 0
    for (start, end), is_dropped in zip(spans, dropped.tolist(), strict=True):
        parts.append(text[at:start] if is_dropped else text[at:end])
        at = end
    return " ".join("".join([*parts, text[at:]]).split())


def _add_typos(text: str, rng: np.random.Generator) -> str:
    chars = list(text)
    places = np.flatnonzero(rng.random(len(chars)) < _TYPO_RATE).tolist()
    edits = rng.integers(0, 3, len(places)).tolist()
    for place, edit in zip(places, edits, strict=True):
        if not chars[place].strip():
            continue
        if edit == 0:
            chars[place] = ""
        elif edit == 1:
            chars[place] *= 2
        elif place + 1 < len(chars):
            chars[place], chars[place + 1] = chars[place + 1], chars[place]
    return " ".join("".join(chars).split()) or text
