"""8-bit linear layers whose result for a text does not depend on the other texts in its batch.

onnxruntime's dynamic quantisation uses one scale for the whole batch: an embedding would change with its
neighbours, and one outlier would reduce everyone's precision. Instead:
- query/key/value, attention output and the first feed-forward matrix have inputs with a stable range, so the
  range is calibrated once and smoothed over the channels (SmoothQuant, Xiao et al. 2022);
- the second feed-forward matrix reads GELU's output, whose peaks differ by text, so each token has its own scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rung.training.onnx.graph import Graph
from rung.training.text.bert_onnx import ORT_DOMAIN
from rung.training.text.bert_weights import Float, Linear

Place = tuple[int, str]

_WEIGHT_LEVELS = 127
# Processors without VNNI add two adjacent products in 16 bits and saturate: 255 * 128 is the maximum.
_PAIR_LEVELS = 127  # one less, for rounding
_SMOOTHING = 0.7
_MARGIN = 1.2
_GELU_ZERO = 16  # GELU's minimum is -0.17: 16 of the 256 levels are below zero
_GELU_MIN = 0.17


class Int8Writer:
    """Writes linear layers in 8 bits. ranges: largest absolute input of each channel, by place."""

    def __init__(self, ranges: Mapping[Place, Float]) -> None:
        self.ranges = ranges

    def __call__(self, graph: Graph, x: str, linear: Linear, place: Place) -> str:
        """Return the name of the output tensor."""
        if place[1] == "down":
            return _write_by_token(graph, x, linear)
        return _write_calibrated(graph, x, linear, self.ranges[place])


def quantise_columns(weight: Float) -> tuple[NDArray[np.int8], Float]:
    """Return codes [in, out] and scales [out]; weight is about codes * scales. `in` must be even.

    Where two adjacent rows (2i and 2i + 1) together exceed what old processors can add, the column's scale
    grows, so that embeddings are the same on every machine.
    """
    pairs = np.abs(weight.reshape(-1, 2, weight.shape[1]).sum(axis=1)).max(axis=0)
    scales = np.maximum(np.abs(weight).max(axis=0) / _WEIGHT_LEVELS, pairs / _PAIR_LEVELS)
    scales[scales == 0] = 1.0
    return np.rint(weight / scales).astype(np.int8), scales.astype(np.float32)


def _write_calibrated(graph: Graph, x: str, linear: Linear, peak: Float) -> str:
    peak = np.maximum(peak * _MARGIN, 1e-3)
    weight_peak = np.maximum(np.abs(linear.weight).max(axis=1), 1e-4)
    smoothing = peak**_SMOOTHING / weight_peak ** (1.0 - _SMOOTHING)
    step = (smoothing * (peak / smoothing).max() / 127.0).astype(np.float32)  # of each input channel
    codes, scales = quantise_columns(linear.weight * step[:, None])
    smoothed = graph.node("Mul", [x, graph.constant(1.0 / step)])
    zero = graph.constant(np.uint8(128))
    unit = graph.constant(np.float32(1))
    levels = graph.node("QuantizeLinear", [smoothed, unit, zero])
    inputs = [levels, graph.constant(codes), unit, graph.constant(scales), zero, _zeros(graph, scales)]
    return graph.node("MatMulIntegerToFloat", [*inputs, graph.constant(linear.bias)], ORT_DOMAIN)


def _write_by_token(graph: Graph, x: str, linear: Linear) -> str:
    codes, scales = quantise_columns(linear.weight)
    peak = graph.node("ReduceMax", [x, graph.constant(np.array([-1], np.int64))], keepdims=1)
    least = graph.constant(np.float32(_GELU_MIN / _GELU_ZERO * (255 - _GELU_ZERO)))
    peak = graph.node("Max", [peak, least])  # [texts, tokens, 1]
    zero = graph.constant(np.uint8(_GELU_ZERO))
    unit = graph.constant(np.float32(1))
    factor = graph.node("Div", [graph.constant(np.float32(255 - _GELU_ZERO)), peak])
    levels = graph.node("QuantizeLinear", [graph.node("Mul", [x, factor]), unit, zero])
    product = graph.node(
        "MatMulIntegerToFloat",
        [
            levels,
            graph.constant(codes),
            unit,
            graph.constant(scales / np.float32(255 - _GELU_ZERO)),
            zero,
            _zeros(graph, scales),
        ],
        ORT_DOMAIN,
    )
    return graph.node("Add", [graph.node("Mul", [product, peak]), graph.constant(linear.bias)])


def _zeros(graph: Graph, scales: Float) -> str:
    return graph.constant(np.zeros(scales.shape, np.int8))
