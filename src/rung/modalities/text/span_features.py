"""What a tagger sees of a token: its letters, its shape, its neighbours, and the words that open its line."""

from __future__ import annotations

from collections.abc import Sequence

from rung.core.field_values import folded_value
from rung.modalities.text.ideographs import is_ideograph

# Characters of a line's opening that may name what follows: "Invoice number:", "金额：".
_KEY_CHARS = 40
_OUTSIDE = "|"


def shape_of(token: str) -> str:
    """Return the shape of a token: Xx for a capitalised word, d2 for two digits, c for an ideograph, a mark as it is."""
    first = token[0]
    if first.isdigit():
        return f"d{min(len(token), 5)}"
    if is_ideograph(first):
        return "c"
    if not first.isalpha():
        return folded_value(token) or token
    if token.isupper():
        return "X" if len(token) == 1 else "XX"
    return "Xx" if first.isupper() else "x"


def token_features(text: str, tokens: Sequence[tuple[int, int]]) -> list[list[str]]:
    """Return the features of each token, as texts. tokens: see `tokens_of`."""
    raw = [text[start:end] for start, end in tokens]
    words = [folded_value(word) or word for word in raw]
    shapes = [shape_of(word) for word in raw]
    keys = _line_keys(text, tokens)
    around_words = [_OUTSIDE, _OUTSIDE, _OUTSIDE, *words, _OUTSIDE, _OUTSIDE, _OUTSIDE]
    around_shapes = [_OUTSIDE, _OUTSIDE, _OUTSIDE, *shapes, _OUTSIDE, _OUTSIDE, _OUTSIDE]
    found = []
    for place, word in enumerate(words):
        w, s = around_words[place : place + 7], around_shapes[place : place + 7]
        start = tokens[place][0]
        gap = place > 0 and tokens[place - 1][1] < start
        opens = place == 0 or "\n" in text[tokens[place - 1][1] : start]
        features = [
            "b", f"w={word}", f"s={s[3]}", f"w-1={w[2]}", f"w-2={w[1]}", f"w-3={w[0]}", f"w+1={w[4]}", f"w+2={w[5]}", f"w+3={w[6]}",
            f"w-1w={w[2]}{_OUTSIDE}{word}", f"ww+1={word}{_OUTSIDE}{w[4]}", f"w-2w-1={w[1]}{_OUTSIDE}{w[2]}", f"w+1w+2={w[4]}{_OUTSIDE}{w[5]}",
            f"s-1={s[2]}", f"s+1={s[4]}", f"s-1s={s[2]}{_OUTSIDE}{s[3]}", f"ss+1={s[3]}{_OUTSIDE}{s[4]}", f"s-2={s[1]}", f"s+2={s[5]}",
            f"sss={s[2]}{_OUTSIDE}{s[3]}{_OUTSIDE}{s[4]}", f"ws+1={w[2]}{_OUTSIDE}{s[3]}", f"gap={int(gap)}{s[3]}", f"k={keys[place]}",
        ]  # fmt: skip
        if opens:
            features.append(f"o={s[3]}")
        if len(word) > 3 and word[0].isalpha():
            features += [f"p={word[:3]}", f"f={word[-3:]}", f"e={word[-2:]}"]
        if shapes[place] == "c":
            features.append(f"cc={w[2]}{word}{w[4]}")
        found.append(features)
    return found


def _line_keys(text: str, tokens: Sequence[tuple[int, int]]) -> list[str]:
    """Return, a token, what stands before the first colon of its line when the token comes after it; "" where nothing does."""
    found = []
    for start, _ in tokens:
        line = text.rfind("\n", 0, start) + 1
        opening = text[line : min(line + _KEY_CHARS, start)]
        places = [place for place in (opening.find(":"), opening.find("：")) if place > 0]
        found.append(folded_value(opening[: min(places)]) if places else "")
    return found
