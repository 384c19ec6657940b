"""Bottleneck adapters (Houlsby et al. 2019): a small network behind frozen linear layers, which starts as if it were not there."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class AdaptedLinear(nn.Module):
    """A frozen linear layer whose output y becomes y + up(gelu(down(y))). up starts at zero: nothing changes before training.

    Unlike a low-rank change it bends: it cannot be merged into the layer, and stands beside it in the exported graph.
    """

    def __init__(self, base: nn.Linear, width: int) -> None:
        """width: of the bottleneck."""
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.out_features, width)
        self.up = nn.Linear(width, base.out_features)
        nn.init.normal_(self.down.weight, std=1e-2)
        with torch.no_grad():
            self.down.bias.zero_()
            self.up.weight.zero_()
            self.up.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.base(x)
        return found + self.up(functional.gelu(self.down(found)))  # type: ignore[no-any-return]


def add_adapters(layers: nn.ModuleList, width: int) -> None:
    """Put an adapter behind the attention and the feed-forward part of every layer, and let its norms learn."""
    for layer in layers:
        for name in ("context", "down"):
            base = getattr(layer, name)
            if not isinstance(base, nn.Linear):
                raise TypeError(f"{type(base).__name__} is not a linear layer")
            setattr(layer, name, AdaptedLinear(base, width))
        for name in ("context_norm", "down_norm"):
            getattr(layer, name).requires_grad_(True)
