"""Low-rank adaptation of linear layers (LoRA, Hu et al. 2022): a small product is learned beside frozen weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LoraLinear(nn.Module):
    """A frozen linear layer plus `scale * B A x`; A and B have `rank` rows and columns, B starts at zero."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = nn.Parameter(torch.empty(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + (x @ self.a.T) @ self.b.T * self.scale  # type: ignore[no-any-return]

    def merged(self) -> nn.Linear:
        """Return one linear layer that answers the same."""
        found = nn.Linear(self.base.in_features, self.base.out_features)
        with torch.no_grad():
            found.weight.copy_(self.base.weight + self.scale * self.b @ self.a)
            found.bias.copy_(self.base.bias)
        return found


def add_lora(module: nn.Module, rank: int, alpha: float) -> None:
    """Replace every linear layer below `module` by one with LoRA."""
    for name, part in list(module.named_children()):
        if isinstance(part, nn.Linear):
            setattr(module, name, LoraLinear(part, rank, alpha))
        else:
            add_lora(part, rank, alpha)


def merge_lora(module: nn.Module) -> None:
    """Replace every layer with LoRA by the linear layer that answers the same."""
    for name, part in list(module.named_children()):
        if isinstance(part, LoraLinear):
            setattr(module, name, part.merged())
        else:
            merge_lora(part)
