"""BERT-family encoders as torch modules, from and to the weights that are written as ONNX."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.training.text.bert_onnx import output_layers
from rung.training.text.bert_weights import (
    Adapter,
    BertWeights,
    FloatTable,
    Int4Table,
    Layer,
    Linear,
    Norm,
    TokenTable,
)
from rung.training.torch.adapters import AdaptedLinear
from rung.training.torch.text_networks import MASKED, TokenEmbedding, attention, masked_mean

Float = npt.NDArray[np.float32]


class PackedEmbedding(nn.Module):
    """A frozen table of token vectors in 4 bits, unpacked when looked up."""

    codes: Tensor
    scales: Tensor

    def __init__(self, packed: Int4Table) -> None:
        super().__init__()
        self.packed = packed
        self.register_buffer("codes", torch.as_tensor(packed.codes), persistent=False)
        self.register_buffer("scales", torch.as_tensor(packed.scales), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        codes, scales = self.codes[ids], self.scales[ids].float()
        # Low nibbles first: pairs side by side.
        halves = torch.stack([codes & 15, codes >> 4], dim=-1).flatten(-2).float() - 8.0
        blocks = halves.reshape(*scales.shape, -1) * scales[..., None]
        return blocks.reshape(*ids.shape, -1)


class BertLayer(nn.Module):
    """One transformer layer with post-normalisation."""

    def __init__(self, layer: Layer, heads: int, epsilon: float, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.qkv, self.context = _linear(layer.qkv), _linear(layer.context)
        self.up, self.down = _linear(layer.up), _linear(layer.down)
        self.context_norm, self.down_norm = (
            _norm(layer.context_norm, epsilon),
            _norm(layer.down_norm, epsilon),
        )

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        mixed = self.context(attention(self.qkv(states), bias, self.heads))
        states = self.context_norm(states + self.dropout(mixed))
        inner = self.down(functional.gelu(self.up(states)))
        return self.down_norm(states + self.dropout(inner))  # type: ignore[no-any-return]


class BertEncoder(nn.Module):
    """Token ids to features: three layers, pooled, each of the same length, together of length 1."""

    def __init__(
        self, weights: BertWeights, pooling: str, seen: npt.NDArray[np.int64], dropout: float
    ) -> None:
        """seen: tokens whose vectors may change; a table in 4 bits never does."""
        super().__init__()
        self.weights, self.pooling = weights, pooling
        self.embedding: nn.Module
        if isinstance(weights.tokens, Int4Table):
            self.embedding = PackedEmbedding(weights.tokens)
        elif isinstance(weights.tokens, FloatTable):
            self.embedding = TokenEmbedding.from_table(weights.tokens.values, seen)
        else:
            raise TypeError("token vectors in 8 bits cannot be trained")
        self.positions = nn.Parameter(torch.as_tensor(weights.positions).clone())
        self.norm = _norm(weights.norm, weights.epsilon)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            BertLayer(layer, weights.heads, weights.epsilon, dropout) for layer in weights.layers
        )
        self.read = output_layers(len(weights.layers))

    @property
    def width(self) -> int:
        """Return the width of the features."""
        return self.weights.width * len(self.read)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        states = self.embedding(ids) + self.positions[: ids.shape[1]]
        states = self.dropout(self.norm(states))
        bias = ((1.0 - mask) * MASKED)[:, None, None]
        parts = []
        for number, layer in enumerate(self.layers, 1):
            states = layer(states, bias)
            if number in self.read:
                pooled = masked_mean(states, mask) if self.pooling == "mean" else states[:, 0]
                parts.append(functional.normalize(pooled, dim=1))
        joined: Tensor = torch.cat(parts, dim=1)
        scaled: Tensor = joined / float(len(parts)) ** 0.5
        return scaled

    def export(self) -> BertWeights:
        """Return the present weights; LoRA must be merged; adapters stand beside their layers."""
        old = self.weights
        tokens: TokenTable = old.tokens
        if isinstance(self.embedding, TokenEmbedding):
            tokens = FloatTable(self.embedding.table())
        layers = tuple(_exported(layer) for layer in self.layers)
        return BertWeights(
            old.heads, old.epsilon, tokens, _array(self.positions), _norm_of(self.norm), layers
        )


class BertClassifier(nn.Module):
    """An encoder with a linear layer over its features."""

    def __init__(self, encoder: BertEncoder, weights: Float, bias: Float, dropout: float) -> None:
        """weights: [features, labels], bias: [labels], where training starts."""
        super().__init__()
        self.encoder, self.dropout = encoder, nn.Dropout(dropout)
        self.head = _linear(Linear(weights, bias))
        # For layer-wise decay of the learning rate.
        self.layer_of = {
            "encoder.embedding": 0, "encoder.positions": 0, "encoder.norm": 0,
            **{f"encoder.layers.{number}.": number + 1 for number in range(len(encoder.layers))},
        }  # fmt: skip
        self.undecayed = {"encoder.positions"}

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.head(self.dropout(self.encoder(ids, mask)))  # type: ignore[no-any-return]

    def head_weights(self) -> Linear:
        """Return the linear layer as it stands."""
        return _linear_of(self.head)


def _linear(given: Linear) -> nn.Linear:
    found = nn.Linear(*given.weight.shape)
    with torch.no_grad():
        found.weight.copy_(torch.as_tensor(np.ascontiguousarray(given.weight.T)))
        found.bias.copy_(torch.as_tensor(given.bias))
    return found


def _norm(given: Norm, epsilon: float) -> nn.LayerNorm:
    found = nn.LayerNorm(len(given.gamma), eps=epsilon)
    with torch.no_grad():
        found.weight.copy_(torch.as_tensor(given.gamma))
        found.bias.copy_(torch.as_tensor(given.beta))
    return found


def _array(tensor: Tensor) -> Float:
    return np.asarray(tensor.detach().cpu().numpy(), np.float32)


def _linear_of(layer: nn.Module) -> Linear:
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"{type(layer).__name__} is not a linear layer")
    return Linear(np.ascontiguousarray(_array(layer.weight).T), _array(layer.bias))


def _norm_of(layer: nn.LayerNorm) -> Norm:
    return Norm(_array(layer.weight), _array(layer.bias))


def _exported(layer: nn.Module) -> Layer:
    if not isinstance(layer, BertLayer):
        raise TypeError(type(layer).__name__)
    context, context_adapter = _adapted_of(layer.context)
    down, down_adapter = _adapted_of(layer.down)
    return Layer(
        _linear_of(layer.qkv), context, _norm_of(layer.context_norm),
        _linear_of(layer.up), down, _norm_of(layer.down_norm), context_adapter, down_adapter,
    )  # fmt: skip


def _adapted_of(layer: nn.Module) -> tuple[Linear, Adapter | None]:
    if not isinstance(layer, AdaptedLinear):
        return _linear_of(layer), None
    return _linear_of(layer.base), Adapter(_linear_of(layer.down), _linear_of(layer.up))
