"""Networks that read token ids: embedding and two layers, convolution, LSTM, GRU, transformer encoder.

Each maps ids and mask, both [rows, tokens], to logits [rows, labels]. Padding does not change the logits of a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

Architecture = Literal["mlp", "cnn_text", "lstm", "gru", "transformer"]
# Added to scores of padding: its softmax is exactly 0 in float32.
MASKED = -1e9


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a network. width: of embeddings (and of a transformer's layers). hidden: units of an MLP, filters of
    each of a CNN's widths, units of each direction of an LSTM or GRU, inner units of a transformer's layers.
    """

    architecture: Architecture
    vocabulary: int
    labels: int
    width: int = 128
    hidden: int = 128
    layers: int = 1
    heads: int = 4
    max_tokens: int = 256
    dropout: float = 0.3


class TokenEmbedding(nn.Module):
    """Vectors of tokens: learned from scratch, or given vectors plus learned changes of the tokens seen in training."""

    given: Tensor | None
    place: Tensor | None

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.learned = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.learned.weight, std=0.1)
        # Not part of the state: they do not change, and checkpoints stay small.
        self.register_buffer("given", None, persistent=False)
        self.register_buffer("place", None, persistent=False)

    @classmethod
    def from_table(cls, table: npt.NDArray[np.float32], seen: npt.NDArray[np.int64]) -> TokenEmbedding:
        """Return an embedding that starts at a table [vocabulary, width]. seen: ids whose vectors may change."""
        found = cls(len(seen) + 1, table.shape[1])
        nn.init.zeros_(found.learned.weight)
        place = torch.zeros(len(table), dtype=torch.int64)
        place[torch.as_tensor(seen)] = torch.arange(1, len(seen) + 1)
        # Row 0 stands for all other tokens and stays zero.
        found.learned.padding_idx = 0
        found.given, found.place = torch.as_tensor(table).clone(), place
        return found

    def forward(self, ids: Tensor) -> Tensor:
        if self.given is None or self.place is None:
            return self.learned(ids)  # type: ignore[no-any-return]
        found: Tensor = functional.embedding(ids, self.given) + self.learned(self.place[ids])
        return found

    def table(self) -> npt.NDArray[np.float32]:
        """Return the vectors of all tokens [vocabulary, width]."""
        learned = self.learned.weight.detach()
        given, place = self.given, self.place
        whole = learned if given is None or place is None else given + learned[place]
        return np.asarray(whole.cpu().numpy(), np.float32)


class AttentionPooling(nn.Module):
    """Weighted mean of hidden states; weights are a softmax of v . tanh(W h) (Yang et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        scores = self.score(torch.tanh(self.inner(states)))[..., 0] + (1.0 - mask) * MASKED
        return (torch.softmax(scores, dim=1)[..., None] * states).sum(dim=1)


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over tokens that are not padding; a row has at least one."""
    return (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


class Mlp(nn.Module):
    """Mean of the token vectors, a hidden layer with ReLU, a linear layer."""

    def __init__(self, shape: NetworkShape, embedding: TokenEmbedding) -> None:
        super().__init__()
        self.embedding, self.dropout = embedding, nn.Dropout(shape.dropout)
        self.hidden = nn.Linear(shape.width, shape.hidden)
        self.head = nn.Linear(shape.hidden, shape.labels)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        pooled = masked_mean(self.embedding(ids), mask)
        return self.head(self.dropout(torch.relu(self.hidden(self.dropout(pooled)))))  # type: ignore[no-any-return]


class CnnText(nn.Module):
    """Convolutions over 3, 4 and 5 tokens, the maximum of each filter, a linear layer (Kim 2014)."""

    WIDTHS = (3, 4, 5)

    def __init__(self, shape: NetworkShape, embedding: TokenEmbedding) -> None:
        super().__init__()
        self.embedding, self.dropout = embedding, nn.Dropout(shape.dropout)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(shape.width, shape.hidden, width) for width in self.WIDTHS
        )
        self.head = nn.Linear(len(self.WIDTHS) * shape.hidden, shape.labels)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        embedded = (self.dropout(self.embedding(ids)) * mask[..., None]).transpose(1, 2)
        parts = []
        for width, convolution in zip(self.WIDTHS, self.convolutions, strict=True):
            found = torch.relu(convolution(functional.pad(embedded, self.padding(width))))
            parts.append((found + (1.0 - mask[:, None]) * MASKED).amax(dim=2))
        return self.head(self.dropout(torch.cat(parts, dim=1)))  # type: ignore[no-any-return]

    @staticmethod
    def padding(width: int) -> tuple[int, int]:
        """Return the zeros before and after a text, so that each token has one output."""
        return (width - 1) // 2, width // 2


class Recurrent(nn.Module):
    """A bidirectional LSTM or GRU over packed texts, with attention pooling."""

    def __init__(self, shape: NetworkShape, embedding: TokenEmbedding) -> None:
        super().__init__()
        self.embedding, self.dropout = embedding, nn.Dropout(shape.dropout)
        make = nn.LSTM if shape.architecture == "lstm" else nn.GRU
        self.layers = nn.ModuleList(
            make(
                shape.width if not n else 2 * shape.hidden, shape.hidden, batch_first=True, bidirectional=True
            )
            for n in range(shape.layers)
        )
        self.pooling = AttentionPooling(2 * shape.hidden)
        self.head = nn.Linear(2 * shape.hidden, shape.labels)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        states, lengths = self.dropout(self.embedding(ids)), mask.sum(dim=1).to(torch.int64).cpu()
        for layer in self.layers:
            packed = nn.utils.rnn.pack_padded_sequence(
                states, lengths, batch_first=True, enforce_sorted=False
            )
            states, _ = nn.utils.rnn.pad_packed_sequence(
                layer(packed)[0], batch_first=True, total_length=ids.shape[1]
            )
        return self.head(self.dropout(self.pooling(states, mask)))  # type: ignore[no-any-return]


class TransformerLayer(nn.Module):
    """Self-attention and two linear layers, each behind a layer norm (pre-norm)."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, nn.Dropout(shape.dropout)
        self.attention_norm, self.inner_norm = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.up = nn.Linear(shape.width, shape.hidden)
        self.down = nn.Linear(shape.hidden, shape.width)

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        mixed = attention(self.qkv(self.attention_norm(states)), bias, self.heads)
        states = states + self.dropout(self.out(mixed))
        inner = functional.gelu(self.up(self.inner_norm(states)))
        return states + self.dropout(self.down(inner))  # type: ignore[no-any-return]


def attention(qkv: Tensor, bias: Tensor, heads: int) -> Tensor:
    """Return the mixed values [rows, tokens, width]. qkv: [rows, tokens, 3 * width]; bias: added to the scores."""
    rows, tokens, width = qkv.shape
    parts = qkv.view(rows, tokens, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=bias)
    return mixed.transpose(1, 2).reshape(rows, tokens, width // 3)


class Transformer(nn.Module):
    """A transformer encoder with learned positions; the mean of its last layer goes into a linear layer."""

    def __init__(self, shape: NetworkShape, embedding: TokenEmbedding) -> None:
        super().__init__()
        self.embedding, self.dropout = embedding, nn.Dropout(shape.dropout)
        self.scale = nn.Parameter(torch.tensor(math.sqrt(shape.width)))
        self.positions = nn.Embedding(shape.max_tokens, shape.width)
        nn.init.normal_(self.positions.weight, std=0.1)
        self.layers = nn.ModuleList(TransformerLayer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.labels)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        states = self.dropout(self.embedding(ids) * self.scale + self.positions(places))
        bias = ((1.0 - mask) * MASKED)[:, None, None]
        for layer in self.layers:
            states = layer(states, bias)
        return self.head(self.dropout(masked_mean(self.norm(states), mask)))  # type: ignore[no-any-return]


def make_network(shape: NetworkShape, embedding: TokenEmbedding) -> nn.Module:
    """Return the network of a shape over an embedding."""
    if shape.architecture == "mlp":
        return Mlp(shape, embedding)
    if shape.architecture == "cnn_text":
        return CnnText(shape, embedding)
    if shape.architecture == "transformer":
        return Transformer(shape, embedding)
    return Recurrent(shape, embedding)
