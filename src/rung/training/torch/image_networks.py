"""Convolutional networks as torch modules, from and to the plain arrays that are written as ONNX."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.training.images.convnet import Block, ConvNet, Convolution, Padding

# Levels of 0 to 255 enter a network from scratch as (x - mean) / scale.
_MEAN, _SCALE = 127.5, 64.0
_STEM = 24
# A stage halves the sides; there are so many that the last one has at most this side.
_LAST_SIDE = 8


class ConvLayer(nn.Module):
    """A convolution, batch normalisation where the network has any, and ReLU6 where it is activated."""

    def __init__(
        self, conv: nn.Conv2d, normalise: bool, activation: bool, padding: Padding = "centre"
    ) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels) if normalise else None
        self.activation = activation
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        side, stride = self.conv.kernel_size[0], self.conv.stride[0]
        if self.padding == "same":
            x = functional.pad(
                x, _same_padding(x.shape[-1], side, stride) + _same_padding(x.shape[-2], side, stride)
            )
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return functional.relu6(x) if self.activation else x

    def export(self) -> Convolution:
        """Return the layer as arrays, its normalisation folded in."""
        weight = self.conv.weight.detach().double()
        bias = torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
        if self.conv.bias is not None:
            bias = self.conv.bias.detach().double()
        if self.norm is not None:
            norm = self.norm
            mean, variance = norm.running_mean, norm.running_var
            if mean is None or variance is None:
                raise TypeError("a normalisation without running statistics")
            factor = norm.weight.detach().double() / torch.sqrt(variance.double() + norm.eps)
            weight = weight * factor[:, None, None, None]
            bias = norm.bias.detach().double() + (bias - mean.double()) * factor
        arrays = [tensor.cpu().numpy().astype(np.float32) for tensor in (weight, bias)]
        return Convolution(arrays[0], arrays[1], self.conv.stride[0], self.conv.groups, self.activation)


class ConvBlock(nn.Module):
    """Layers one after the other; residual: the input is added to their output."""

    def __init__(self, layers: list[ConvLayer], residual: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.layers:
            out = layer(out)
        return x + out if self.residual else out


class ConvClassifier(nn.Module):
    """A convolutional network: uint8 [images, height, width, channels] -> logits [images, labels].

    layer_of: prefix of a parameter's name -> number of its block, for learning rates by depth.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        blocks: list[ConvBlock],
        width: int,
        labels: int,
        mean: tuple[float, ...],
        scale: tuple[float, ...],
        dropout: float,
        padding: Padding = "centre",
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.classifier = nn.Linear(width, labels)
        self.dropout = nn.Dropout(dropout)
        self.padding = padding
        self.layer_of = {f"blocks.{number}.": number for number in range(len(blocks))}
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("scale", torch.tensor(scale))

    def features(self, images: Tensor) -> Tensor:
        """Return [images, width]: the channels of the last block, each averaged over the image."""
        x = ((images.float() - self.mean) / self.scale).permute(0, 3, 1, 2)
        for block in self.blocks:
            x = block(x)
        return x.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.classifier(self.dropout(self.features(images)))
        return found

    def freeze(self, last: int) -> None:
        """Train only the last blocks and the classifier."""
        for block in list(self.blocks)[: max(len(self.blocks) - last, 0)]:
            block.requires_grad_(False)

    def export(self) -> ConvNet:
        """Return the network as arrays."""
        blocks = []
        for block in self.blocks:
            if not isinstance(block, ConvBlock):
                raise TypeError(type(block).__name__)
            layers = [layer for layer in block.layers if isinstance(layer, ConvLayer)]
            blocks.append(Block(tuple(layer.export() for layer in layers), block.residual))
        weight, bias = (
            tensor.detach().cpu().numpy() for tensor in (self.classifier.weight, self.classifier.bias)
        )
        mean, scale = (tuple(float(value) for value in tensor) for tensor in (self.mean, self.scale))
        return ConvNet(tuple(blocks), (weight.T.copy(), bias), mean, scale, self.padding, tapped=())


def scratch_network(
    side: int, channels: int, labels: int, width: int, layers: int, dropout: float
) -> ConvClassifier:
    """Return a small residual network (He et al. 2016) with random weights.

    A stem at full size, then stages that halve the sides and double the width, each with `layers` residual blocks.
    """
    blocks = [ConvBlock([_new_layer(channels, _STEM)])]
    before, own = _STEM, width
    while True:
        blocks.append(ConvBlock([_new_layer(before, own, stride=2)]))
        for _ in range(layers):
            blocks.append(
                ConvBlock([_new_layer(own, own), _new_layer(own, own, activation=False)], residual=True)
            )
        side = -(-side // 2)
        if side <= _LAST_SIDE:
            return ConvClassifier(blocks, own, labels, (_MEAN,) * channels, (_SCALE,) * channels, dropout)
        before, own = own, 2 * own


def pretrained_network(net: ConvNet, labels: int, dropout: float) -> ConvClassifier:
    """Return a network that starts at fetched weights, with a new classifier. Its normalisation stays folded in."""
    blocks = [
        ConvBlock([_layer_from(layer, net.padding) for layer in block.convolutions], block.residual)
        for block in net.blocks
    ]
    return ConvClassifier(blocks, net.widths[-1], labels, net.mean, net.scale, dropout, net.padding)


def _new_layer(before: int, after: int, stride: int = 1, activation: bool = True) -> ConvLayer:
    conv = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return ConvLayer(conv, True, activation)


def _layer_from(given: Convolution, padding: Padding) -> ConvLayer:
    out, each, side, _ = given.weight.shape
    around = side // 2 if padding == "centre" else 0
    conv = nn.Conv2d(each * given.groups, out, side, given.stride, around, groups=given.groups)
    with torch.no_grad():
        conv.weight.copy_(torch.as_tensor(given.weight))
        if conv.bias is not None:
            conv.bias.copy_(torch.as_tensor(given.bias))
    return ConvLayer(conv, False, given.activation, padding)


def _same_padding(length: int, side: int, stride: int) -> tuple[int, int]:
    """Return the padding before and after, as TensorFlow's SAME does: the odd one comes after."""
    total = max((-(-length // stride) - 1) * stride + side - length, 0)
    return total // 2, total - total // 2
