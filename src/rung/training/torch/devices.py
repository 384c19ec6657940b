"""Device, threads and precision of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from rung.core.forked import usable_threads
from rung.core.training_params import Precision


@contextmanager
def training_threads(threads: int, seed: int) -> Iterator[None]:
    """Use this many threads and a random state of this seed while the block runs; both are restored."""
    before = torch.get_num_threads()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    torch.set_num_threads(usable_threads(threads))
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


class MixedPrecision:
    """Run the forward pass in the chosen precision; in fp16 the loss is scaled so that gradients do not vanish."""

    def __init__(self, wanted: Precision, device: torch.device) -> None:
        self.device = device
        self.dtype = _dtype(wanted, device)
        self.scaler = torch.amp.GradScaler(device.type) if self.dtype is torch.float16 else None

    def forward(self) -> Any:
        """Return the context of a forward pass."""
        return torch.autocast(
            self.device.type, dtype=self.dtype or torch.bfloat16, enabled=self.dtype is not None
        )

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]

    def step(self, optimizer: torch.optim.Optimizer, module: nn.Module, clip: float) -> None:
        """Clip the gradients and change the parameters; a step with infinite gradients in fp16 is left out."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)
        if clip:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        if self.scaler is None:
            optimizer.step()
        else:
            self.scaler.step(optimizer)
            self.scaler.update()


def _dtype(wanted: Precision, device: torch.device) -> torch.dtype | None:
    if wanted == "float32" or (wanted == "auto" and device.type == "cpu"):
        return None
    if wanted == "bf16" or device.type == "cpu":
        return torch.bfloat16
    return torch.bfloat16 if wanted == "auto" and torch.cuda.is_bf16_supported() else torch.float16
