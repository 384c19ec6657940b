"""An encoder with fewer attention heads and narrower feed-forward layers: of each layer, the parts that say most stay.

A part's say is how far it moves the layer's output on texts of the product: the root mean square of what it hands on, times the
length of the weights that take it. Whole heads and whole units go, so the matrices become smaller and not only sparser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rung.training.text.bert_weights import BertWeights, Float, Layer, Linear
from rung.training.text.encoder_export import root_mean_squares
from rung.training.text.encoder_quantize import Place

# Units stay in multiples of this: what vector instructions read at a time.
_UNITS = 32


def narrower(bert: BertWeights, tokenizer: str, texts: Sequence[str], share: float) -> BertWeights:
    """Return the encoder with this share of the heads and feed-forward units of each layer.

    tokenizer: the content of a tokenizer.json. texts: what the say of a part is measured on. share: above 0, at most 1.
    """
    seen = root_mean_squares(bert, tokenizer, texts)
    heads = max(round(bert.heads * share), 1)
    layers = tuple(
        _narrower(layer, number, seen, (bert.heads, heads), share) for number, layer in enumerate(bert.layers)
    )
    return replace(bert, heads=heads, layers=layers)


def _narrower(
    layer: Layer, number: int, seen: Mapping[Place, Float], heads: tuple[int, int], share: float
) -> Layer:
    before, after = heads
    channels = seen[number, "context"] * np.linalg.norm(layer.context.weight, axis=1)
    width = len(channels) // before
    says = np.square(channels).reshape(before, width).sum(axis=1)
    kept = _strongest(says, after)
    columns = (kept[:, None] * width + np.arange(width)).ravel()
    whole = len(channels)
    qkv = np.concatenate([columns + part * whole for part in range(3)])
    inner = len(layer.down.weight)
    units = _strongest(
        seen[number, "down"] * np.linalg.norm(layer.down.weight, axis=1),
        min(max(round(inner * share / _UNITS) * _UNITS, _UNITS), inner),
    )
    return replace(
        layer,
        qkv=Linear(layer.qkv.weight[:, qkv], layer.qkv.bias[qkv]),
        context=Linear(layer.context.weight[columns], layer.context.bias),
        up=Linear(layer.up.weight[:, units], layer.up.bias[units]),
        down=Linear(layer.down.weight[units], layer.down.bias),
    )


def _strongest(says: Float, count: int) -> np.ndarray:
    """Return the places of the largest values, ascending."""
    return np.sort(np.argsort(-says, kind="stable")[:count])
