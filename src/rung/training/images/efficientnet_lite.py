"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation) from efficientnet_lite_pytorch's state dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from rung.training.images.convnet import Block, ConvNet, Tensors

# Channels out, repeats and stride of the first block of each stage, in order.
_STAGES = ((16, 1, 1), (24, 2, 2), (40, 2, 2), (80, 3, 2), (112, 3, 1), (192, 4, 2), (320, 1, 1))
# The last blocks of the stages of 112 and 320 channels.
_TAPPED = (11, 16)
_EPSILON = 1e-3


def efficientnet_lite0(tensors: Mapping[str, npt.NDArray[Any]]) -> ConvNet:
    """Return the network; raises RungError when the tensors are not those of EfficientNet-Lite0."""
    take = Tensors(tensors, _EPSILON)
    blocks = [Block((take.convolution("_conv_stem", "_bn0", stride=2),))]
    channels = 32
    for out, repeats, first_stride in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            root = f"_blocks.{len(blocks) - 1}"
            steps = []
            if len(blocks) > 1:  # The first block does not widen its input.
                steps.append(take.convolution(f"{root}._expand_conv", f"{root}._bn0"))
            steps.append(take.convolution(f"{root}._depthwise_conv", f"{root}._bn1", stride))
            steps.append(take.convolution(f"{root}._project_conv", f"{root}._bn2", activation=False))
            blocks.append(Block(tuple(steps), residual=stride == 1 and channels == out))
            channels = out
    blocks.append(Block((take.convolution("_conv_head", "_bn1"),)))
    classifier = take.linear("_fc")
    take.check_all_taken()
    # As in TensorFlow's own efficientnet_lite_builder.py, whose weights these are.
    return ConvNet(tuple(blocks), classifier, (127.0,) * 3, (128.0,) * 3, padding="same", tapped=_TAPPED)
