"""Turn texts into token ids, valid Unicode or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def replace_lone_surrogates(text: str) -> str:
    """Return the text as valid Unicode: a lone surrogate, which no encoding can write, becomes '?'."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text, without special tokens.

    tokenizer: of the tokenizers package. Lone surrogates count as '?'.
    """
    try:
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    except TypeError:  # raised for text that is not valid Unicode
        valid = [replace_lone_surrogates(text) for text in texts]
        encoded = tokenizer.encode_batch_fast(valid, add_special_tokens=False)
    return [item.ids for item in encoded]


def vocabulary_of(tokenizer: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the tokens of the content of a tokenizer.json with their numbers, whatever the kind of its model."""
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, Mapping):
        return [(token, int(number)) for token, number in vocabulary.items()]
    return [(str(pair[0]), number) for number, pair in enumerate(vocabulary)]
