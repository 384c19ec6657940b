"""Turn texts into token ids, whatever they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text, without special tokens.

    tokenizer: of the tokenizers package. Halves of surrogate pairs, which no encoding can write, count as '?'.
    """
    try:
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    except TypeError:  # how the package answers text that is not valid Unicode
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encoded = tokenizer.encode_batch_fast(clean, add_special_tokens=False)
    return [item.ids for item in encoded]
