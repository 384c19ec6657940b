"""MobileNetV2 (Sandler et al. 2018) from torchvision's state dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from rung.training.images.convnet import Block, ConvNet, Tensors

# Channels in and out and the stride of each inverted residual block, in order.
_STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
# The last blocks of the stages of 96 and 320 channels: edges and parts, which small images are told apart by.
_TAPPED = (13, 17)
_EPSILON = 1e-5


def mobilenet_v2(tensors: Mapping[str, npt.NDArray[Any]]) -> ConvNet:
    """Return the network; raises RungError when the tensors are not those of torchvision's MobileNetV2."""
    take = Tensors(tensors, _EPSILON)
    blocks = [Block((take.convolution("features.0.0", "features.0.1", stride=2),))]
    channels = 32
    for out, repeats, first_stride in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            root = f"features.{len(blocks)}.conv"
            steps = []
            if len(blocks) > 1:  # The first block does not widen its input.
                steps.append(take.convolution(f"{root}.0.0", f"{root}.0.1"))
            depth = len(steps)
            steps.append(take.convolution(f"{root}.{depth}.0", f"{root}.{depth}.1", stride))
            steps.append(take.convolution(f"{root}.{depth + 1}", f"{root}.{depth + 2}", activation=False))
            blocks.append(Block(tuple(steps), residual=stride == 1 and channels == out))
            channels = out
    last = f"features.{len(blocks)}"
    blocks.append(Block((take.convolution(f"{last}.0", f"{last}.1"),)))
    classifier = take.linear("classifier.1")
    take.check_all_taken()
    return ConvNet(
        tuple(blocks),
        classifier,
        mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
        scale=(0.229 * 255, 0.224 * 255, 0.225 * 255),
        padding="centre",
        tapped=_TAPPED,
    )
