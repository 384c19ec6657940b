"""Optimisers, and which parameters get which learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rung.core.training_params import TrainingParams


class Lion(torch.optim.Optimizer):
    """Lion: the sign of an interpolated momentum (Chen et al. 2023). Its rate is 3 to 10 times below AdamW's."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change the parameters by one step; `closure` is not called."""
        for group in self.param_groups:
            first, second = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"]
                parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                direction = momentum.mul(first).add_(parameter.grad, alpha=1.0 - first).sign_()
                parameter.add_(direction, alpha=-group["lr"])
                momentum.mul_(second).add_(parameter.grad, alpha=1.0 - second)


def make_optimizer(module: nn.Module, params: TrainingParams, rate: float) -> torch.optim.Optimizer:
    """Return the optimiser of a module's trainable parameters; `rate` is the highest learning rate.

    A module may have `layer_of: Mapping[str, int]`, prefix of a parameter's name -> layer, counted from the input;
    the rate of a layer is `rate * layer_decay ** (last layer - layer)`. Names without a prefix belong to the last.
    """
    groups = parameter_groups(module, params, rate)
    if params.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=params.momentum)
    if params.optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate)
    if params.optimizer == "lion":
        return Lion(groups, lr=rate)
    return torch.optim.AdamW(groups, lr=rate)


def parameter_groups(module: nn.Module, params: TrainingParams, rate: float) -> list[dict[str, Any]]:
    """Return groups of parameters with their `lr`, `full_lr` (what a schedule scales) and `weight_decay`."""
    layers: Mapping[str, int] = getattr(module, "layer_of", {})
    last = max(layers.values(), default=0) + 1
    undecayed = _names_without_decay(module)
    groups: dict[tuple[int, bool], list[Tensor]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            layer = next((number for prefix, number in layers.items() if name.startswith(prefix)), last)
            groups.setdefault((layer, name not in undecayed), []).append(parameter)
    found = []
    for (layer, decayed), parameters in sorted(groups.items(), key=lambda item: item[0]):
        own = rate * params.layer_decay ** (last - layer)
        decay = params.weight_decay if decayed else 0.0
        found.append({"params": parameters, "lr": own, "full_lr": own, "weight_decay": decay})
    return found


def _names_without_decay(module: nn.Module) -> set[str]:
    """Return the names of biases, parameters of norms and embeddings, and what a module's `undecayed` lists."""
    plain = (nn.LayerNorm, nn.BatchNorm1d, nn.Embedding)
    found = set(getattr(module, "undecayed", ()))
    for prefix, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            if isinstance(part, plain) or parameter.ndim < 2 or "bias" in name:
                found.add(f"{prefix}.{name}" if prefix else name)
    return found - set(getattr(module, "decayed", ()))
