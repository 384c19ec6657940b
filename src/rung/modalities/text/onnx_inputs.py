"""Feed rows to an ONNX model as texts, or as token ids with masks."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.core.errors import RungError, did_you_mean
from rung.core.types import Columns
from rung.modalities.text.ngrams import MAX_CHARS, join_fields
from rung.modalities.text.tokenize import replace_lone_surrogates
from rung.runtime.onnx.inputs import NUMBERS, Batch, InputReader, listed

_TEXT = "tensor(string)"
_MASK, _TYPES = "attention_mask", "token_type_ids"
_PADS = ("[PAD]", "<pad>", "<PAD>")
_BATCH_TEXTS, _BATCH_TOKENS = 64, 2048
_MAX_TOKENS = 512


@dataclass(frozen=True)
class TextReader:
    """Feeds texts. columns: input of the model -> field of the product (None for all fields joined), and the
    input's rank.
    """

    columns: Mapping[str, tuple[str | None, int]]

    def batches(self, inputs: Columns, alone: bool) -> Iterator[Batch]:
        joined = join_fields(inputs)
        texts = {
            name: joined if field is None else ["" if cell is None else str(cell) for cell in inputs[field]]
            for name, (field, _) in self.columns.items()
        }
        size = 1 if alone else _BATCH_TEXTS
        for start in range(0, len(joined), size):
            rows = list(range(start, min(start + size, len(joined))))
            yield (
                rows,
                {
                    name: _column([_bounded(texts[name][row]) for row in rows], rank)
                    for name, (_, rank) in self.columns.items()
                },
            )


@dataclass(frozen=True)
class TokenReader:
    """Feeds token ids: padded and cut to one fixed length, or unpadded batches of equal length.

    kinds: input of the model -> its numpy type; ids: the input for token ids; length: the fixed length, or
    None.
    """

    tokenizer: Any
    kinds: Mapping[str, type]
    ids: str
    length: int | None
    pad: int
    pad_left: bool

    def batches(self, inputs: Columns, alone: bool) -> Iterator[Batch]:
        encoded = self.tokenizer.encode_batch([_bounded(text) for text in join_fields(inputs)])
        # A model without a mask cannot tell padding from text: rows of equal length form a batch instead.
        by_length: dict[int, list[int]] = defaultdict(list)
        tokens = [item.ids or [self.pad] for item in encoded]
        for row, ids in enumerate(tokens):
            by_length[self.length or len(ids)].append(row)
        for length, group in by_length.items():
            size = 1 if alone else max(1, _BATCH_TOKENS // length)
            for start in range(0, len(group), size):
                rows = group[start : start + size]
                yield rows, self._feed([tokens[row] for row in rows], length)

    def _feed(self, tokens: Sequence[list[int]], length: int) -> dict[str, Any]:
        ids = np.full((len(tokens), length), self.pad, np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(tokens):
            place = slice(length - len(own), length) if self.pad_left else slice(0, len(own))
            ids[row, place], mask[row, place] = own, 1
        known = {self.ids: ids, _MASK: mask, _TYPES: np.zeros_like(ids)}
        return {name: known[name].astype(kind) for name, kind in self.kinds.items()}


def input_reader(
    inputs: Sequence[Any], fields: Sequence[str], tokenizer: str | None, max_tokens: int | None, where: str
) -> InputReader:
    """Return the reader for a session with such inputs.

    fields: the product's inputs. tokenizer: the content of a tokenizer.json. Raises RungError when the model
    reads something other than texts or token ids.
    """
    if all(item.type == _TEXT for item in inputs):
        if tokenizer is not None or max_tokens is not None:
            raise RungError(
                f"the file reads texts (input {listed(inputs)}), not tokens",
                where,
                "Leave out `tokenizer` and `max_tokens`.",
            )
        return _text_reader(inputs, fields, where)
    return _token_reader(inputs, tokenizer, max_tokens, where)


def _bounded(text: str) -> str:
    """Return at most MAX_CHARS characters of a text, as valid Unicode."""
    return replace_lone_surrogates(text[:MAX_CHARS])


def _text_reader(inputs: Sequence[Any], fields: Sequence[str], where: str) -> TextReader:
    for item in inputs:
        if len(item.shape) > 2 or (len(item.shape) == 2 and item.shape[1] in range(2, 1 << 31)):
            raise RungError(
                f"the input '{item.name}' has the shape {item.shape}",
                where,
                "Texts go in as [rows] or [rows, 1].",
            )
    if len(inputs) == 1:
        return TextReader({inputs[0].name: (None, len(inputs[0].shape))})
    for item in inputs:
        if item.name not in fields:
            raise RungError(
                f"the file reads '{item.name}', and the product has no input of that name",
                where,
                f"{did_you_mean(item.name, fields)} Several text inputs are named as in data.input.",
            )
    return TextReader({item.name: (item.name, len(item.shape)) for item in inputs})


def _token_reader(
    inputs: Sequence[Any], tokenizer: str | None, max_tokens: int | None, where: str
) -> TokenReader:
    main = [item for item in inputs if item.name not in (_MASK, _TYPES)]
    strange = [item for item in inputs if item.type not in NUMBERS or len(item.shape) != 2]
    if len(main) != 1 or strange:
        raise RungError(
            f"its inputs are not supported: {listed(inputs)}",
            where,
            "A file reads texts as [rows] or [rows, 1], or token ids as [rows, tokens], with attention_mask and "
            "token_type_ids of the same shape beside them.",
        )
    if tokenizer is None:
        raise RungError(
            f"the file reads token ids ({listed(main)}), and no tokenizer is named",
            where,
            "Name it: params: {path: model.onnx, tokenizer: tokenizer.json}.",
        )
    fixed = main[0].shape[1] if isinstance(main[0].shape[1], int) else None
    if fixed and max_tokens and max_tokens > fixed:
        raise RungError(
            f"max_tokens is {max_tokens}, and the graph reads {fixed}", where, "Leave max_tokens out."
        )
    opened, pad, left = _tokenizer(tokenizer, max_tokens or fixed, where)
    kinds = {item.name: NUMBERS[item.type] for item in inputs}
    return TokenReader(opened, kinds, main[0].name, fixed, pad, left)


def _tokenizer(text: str, max_tokens: int | None, where: str) -> tuple[Any, int, bool]:
    """Return the tokenizer, set to truncate but not to pad, its padding id, and whether it pads on the left."""
    # The tokenizer's thread pool reads this once; by default it uses all cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from tokenizers import Tokenizer

    try:
        found = Tokenizer.from_str(text)
        padding, cutting = found.padding or {}, found.truncation or {}
        found.no_padding()
        found.enable_truncation(
            max_tokens or cutting.get("max_length", _MAX_TOKENS), direction=cutting.get("direction", "right")
        )
    except Exception as error:  # the package raises plain Exceptions
        raise RungError(
            f"its tokenizer cannot be used: {error}", where, "Save it with Tokenizer.save('tokenizer.json')."
        ) from None
    known = (found.token_to_id(token) for token in _PADS)
    pad = padding.get("pad_id", next((number for number in known if number is not None), 0))
    return found, int(pad), padding.get("direction") == "left"


def _column(texts: Sequence[str], rank: int) -> Any:
    column = np.array(texts, dtype=object)
    return column if rank == 1 else column[:, None]
