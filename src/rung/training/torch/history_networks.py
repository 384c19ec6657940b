"""Networks over histories: each maps the vectors of a user's events, oldest first, to the user's vector after each event.

What comes after an event does not change the vectors before it, so that one pass over a history trains on all its beginnings.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rung.training.torch.text_networks import MASKED, NetworkShape, TransformerLayer


class ItemTable(nn.Module):
    """Vectors of items: learned, and where content is given a linear map of it on top, so that rare items share with others.

    content: [items, width], or None. shares: [items], of all events: the score of an item begins at the log of its share.
    """

    content: Tensor | None

    def __init__(
        self, width: int, shares: npt.NDArray[np.float64], content: npt.NDArray[np.float32] | None
    ) -> None:
        super().__init__()
        self.learned = nn.Embedding(len(shares), width)
        nn.init.normal_(self.learned.weight, std=1.0 / math.sqrt(width))
        least = 0.1 / max(len(shares), 1)
        self.bias = nn.Parameter(torch.as_tensor(np.log(np.maximum(shares, least)), dtype=torch.float32))
        self.register_buffer(
            "content", None if content is None else torch.as_tensor(content), persistent=False
        )
        self.project = None if content is None else nn.Linear(content.shape[1], width, bias=False)

    def vectors(self) -> Tensor:
        """Return the vectors of all items, [items, width]."""
        if self.content is None or self.project is None:
            return self.learned.weight
        return self.learned.weight + self.project(self.content)  # type: ignore[no-any-return]


class SasRec(nn.Module):
    """Self-attention over the events so far (Kang & McAuley 2018), positions counted from the first event that is read."""

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.dropout, self.positions = nn.Dropout(shape.dropout), nn.Embedding(shape.max_tokens, shape.width)
        nn.init.normal_(self.positions.weight, std=0.05)
        self.layers = nn.ModuleList(TransformerLayer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, events: Tensor) -> Tensor:
        places = torch.arange(events.shape[1], device=events.device)
        states = self.dropout(events + self.positions(places))
        later = torch.full((len(places), len(places)), MASKED, device=events.device).triu(1)
        for layer in self.layers:
            states = layer(states, later)
        return self.norm(states)  # type: ignore[no-any-return]


class UserTower(nn.Module):
    """The mean of the events so far, and the mean that forgets, through a hidden layer: the user's half of two towers."""

    DECAY = 0.8

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.dropout = nn.Dropout(shape.dropout)
        self.norm = nn.LayerNorm(2 * shape.width)
        self.hidden = nn.Linear(2 * shape.width, shape.hidden)
        self.out = nn.Linear(shape.hidden, shape.width)

    def forward(self, events: Tensor) -> Tensor:
        weights = mean_weights(events.shape[1], self.DECAY)
        both = torch.cat([torch.as_tensor(w, device=events.device) @ events for w in weights], dim=2)
        inner = torch.relu(self.hidden(self.dropout(self.norm(both))))
        return self.out(self.dropout(inner))  # type: ignore[no-any-return]


def mean_weights(events: int, decay: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return two [events, events]: weights of each event in the mean at each place, all alike, and the latest the most."""
    back = np.arange(events)[:, None] - np.arange(events)[None]
    plain, late = (np.where(back >= 0, base ** np.maximum(back, 0.0), 0.0) for base in (1.0, decay))
    return tuple((w / w.sum(axis=1, keepdims=True)).astype(np.float32) for w in (plain, late))


class HistoryNetwork(nn.Module):
    """A table of items and a network over histories."""

    def __init__(self, table: ItemTable, encoder: nn.Module, dropout: float) -> None:
        super().__init__()
        self.table, self.encoder, self.dropout = table, encoder, nn.Dropout(dropout)
        self.undecayed = {"table.bias"}

    def forward(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors of users after each event, [rows, events, width], and those of all items. items: [rows, events]."""
        vectors = self.table.vectors()
        return self.encoder(self.dropout(vectors[items])), vectors
