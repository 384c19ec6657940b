"""Networks that tell the next unit of a text: an LSTM, and a transformer that sees no later unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rung.training.torch.text_networks import MASKED, NetworkShape, TransformerLayer

Architecture = Literal["lstm", "transformer"]


@dataclass(frozen=True)
class LanguageShape:
    """Sizes. width: of embeddings and of the last layer, which share their weights. hidden: inner units of a transformer's layers."""

    vocabulary: int
    width: int
    hidden: int
    layers: int
    heads: int
    most: int
    dropout: float


class LstmLanguage(nn.Module):
    """Layers of an LSTM; embedding and output share their weights (Press & Wolf 2017)."""

    def __init__(self, shape: LanguageShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.layers = nn.ModuleList(
            nn.LSTM(shape.width, shape.width, batch_first=True) for _ in range(shape.layers)
        )
        self.dropout = nn.Dropout(shape.dropout)
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits [rows, units, vocabulary]. ids: [rows, units], filled up behind the end of a row."""
        states = self.dropout(self.embedding(ids))
        for layer in self.layers:
            states = self.dropout(layer(states)[0])
        return functional.linear(states, self.embedding.weight, self.bias)


class TransformerLanguage(nn.Module):
    """A transformer decoder with learned positions; embedding and output share their weights."""

    def __init__(self, shape: LanguageShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.embedding.weight, std=1.0 / math.sqrt(shape.width))
        self.positions = nn.Embedding(shape.most, shape.width)
        nn.init.normal_(self.positions.weight, std=1.0 / math.sqrt(shape.width))
        inner = NetworkShape(
            "transformer", shape.vocabulary, 0, shape.width, shape.hidden, shape.layers, shape.heads, shape.most, shape.dropout
        )  # fmt: skip
        self.layers = nn.ModuleList(TransformerLayer(inner) for _ in range(shape.layers))
        self.norm, self.dropout = nn.LayerNorm(shape.width), nn.Dropout(shape.dropout)
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits [rows, units, vocabulary]; see `LstmLanguage.forward`."""
        count = ids.shape[1]
        places = torch.arange(count, device=ids.device)
        states = self.dropout(self.embedding(ids) + self.positions(places))
        later = torch.ones(count, count, device=ids.device).triu(1) * MASKED
        for layer in self.layers:
            states = layer(states, later)
        return functional.linear(self.norm(states), self.embedding.weight, self.bias)


class PairLanguage(nn.Module):
    """An LSTM reads the prompt, another one writes the text and attends to what the first has read (Luong et al. 2015, "general" scores)."""

    def __init__(self, shape: LanguageShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.encoder, self.decoder = (
            nn.ModuleList(nn.LSTM(shape.width, shape.width, batch_first=True) for _ in range(shape.layers))
            for _ in range(2)
        )
        self.attention = nn.Linear(shape.width, shape.width, bias=False)
        self.mixed = nn.Linear(2 * shape.width, shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))

    def forward(self, prompts: Tensor, lengths: Tensor, texts: Tensor) -> Tensor:
        """Return logits [rows, units, vocabulary]. prompts: [rows, prompt units] with their lengths; texts: [rows, units]."""
        states = self.dropout(self.embedding(prompts))
        memory = []
        for layer in self.encoder:
            packed = pack_padded_sequence(states, lengths.cpu(), batch_first=True, enforce_sorted=False)
            found, kept = layer(packed)
            memory.append(kept)
            states = self.dropout(
                pad_packed_sequence(found, batch_first=True, total_length=prompts.shape[1])[0]
            )
        written = self.dropout(self.embedding(texts))
        for layer, kept in zip(self.decoder, memory, strict=True):
            written = self.dropout(layer(written, kept)[0])
        places = torch.arange(prompts.shape[1], device=prompts.device)
        beyond = (places >= lengths[:, None]).float()[:, None] * MASKED
        weights = (self.attention(written) @ states.transpose(1, 2) + beyond).softmax(-1)
        both = torch.cat([weights @ states, written], -1)
        return functional.linear(self.dropout(torch.tanh(self.mixed(both))), self.embedding.weight, self.bias)


def make_language(architecture: Architecture, shape: LanguageShape) -> LstmLanguage | TransformerLanguage:
    """Return the network of a shape."""
    return LstmLanguage(shape) if architecture == "lstm" else TransformerLanguage(shape)
