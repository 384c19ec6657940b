"""A convolutional network as plain arrays: what MobileNetV2 and EfficientNet-Lite have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError

Float = npt.NDArray[np.float32]
Padding = Literal["centre", "same"]


@dataclass(frozen=True)
class Convolution:
    """A convolution with its batch normalisation folded in. weight: [out, in / groups, k, k]; bias: [out].

    activation: whether ReLU6 follows.
    """

    weight: Float
    bias: Float
    stride: int
    groups: int
    activation: bool


@dataclass(frozen=True)
class Block:
    """Convolutions one after the other. residual: whether the block's input is added to its output."""

    convolutions: tuple[Convolution, ...]
    residual: bool = False


@dataclass(frozen=True)
class ConvNet:
    """A network from pixels to pooled features and the logits of its own classes.

    A level x of 0 to 255 enters as (x - mean) / scale, by channel. padding: "centre" pads both sides alike, as torch
    does; "same" as TensorFlow does. tapped: the blocks whose pooled output joins the last one's as features.
    """

    blocks: tuple[Block, ...]
    classifier: tuple[Float, Float]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    padding: Padding
    tapped: tuple[int, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Return how many features each tapped block and the last one give."""
        return tuple(
            len(self.blocks[number].convolutions[-1].bias) for number in (*self.tapped, len(self.blocks) - 1)
        )


class Tensors:
    """The tensors of a state dict, taken by name; every one must be taken once."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]], epsilon: float) -> None:
        self._tensors = dict(tensors)
        self._epsilon = epsilon

    def take(self, name: str) -> Float:
        """Return a tensor; raises RungError when it is missing."""
        if name not in self._tensors:
            raise RungError(f"the tensor '{name}' is missing", fix="Fetch the weights again.")
        return np.asarray(self._tensors.pop(name), np.float32)

    def convolution(self, name: str, norm: str, stride: int = 1, activation: bool = True) -> Convolution:
        """Return a convolution without bias and the batch normalisation after it as one convolution."""
        weight = self.take(f"{name}.weight")
        gamma, beta = self.take(f"{norm}.weight"), self.take(f"{norm}.bias")
        mean, variance = self.take(f"{norm}.running_mean"), self.take(f"{norm}.running_var")
        factor = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + self._epsilon)
        folded = weight * factor[:, None, None, None]
        bias = beta - mean * factor
        # One input channel a filter: in these networks that is a depthwise convolution.
        groups = len(weight) if weight.shape[1] == 1 else 1
        return Convolution(folded.astype(np.float32), bias.astype(np.float32), stride, groups, activation)

    def linear(self, name: str) -> tuple[Float, Float]:
        """Return weight [in, out] and bias [out]."""
        return self.take(f"{name}.weight").T.copy(), self.take(f"{name}.bias")

    def check_all_taken(self) -> None:
        """Raise RungError when a tensor was left over: the network is then not the one described."""
        left = sorted(name for name in self._tensors if not name.endswith("num_batches_tracked"))
        if left:
            raise RungError(
                f"the tensor '{left[0]}' has no place in this network", fix="Fetch the weights again."
            )
