"""Neural network of a table, in numpy: embedded columns, layers shared by several members, one answer.

Numbers go through their quantiles and periodic features (Gorishniy et al. 2022), categories through learned vectors. The
members share their weights but for scales of each unit, and their answers are averaged (TabM, Gorishniy et al. 2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.features import Cells

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
# Rows at a time: bounds memory.
_CHUNK = 2048
# Orders of columns, each with its reverse, over which contributions are averaged.
_ORDERS = 4


@dataclass(frozen=True)
class NetworkLayer:
    """A layer of all members. before: [members, in], weight: [in, out], after, bias: [members, out]."""

    before: Singles
    weight: Singles
    after: Singles
    bias: Singles

    def __call__(self, states: Singles) -> Singles:
        """Return [rows, members, out] of [rows, members, in], before the ReLU."""
        return np.asarray((states * self.before) @ self.weight * self.after + self.bias, np.float32)


@dataclass(frozen=True)
class NetworkWeights:
    """One trained network.

    frequencies: [numbers, k]. number_weight: [numbers, 2 k + 2, width] of sine, cosine, value, "is missing";
    number_bias: [numbers, width]. categories: vectors of each column's codes. head: [members, in, outputs], [members, outputs].
    """

    frequencies: Singles
    number_weight: Singles
    number_bias: Singles
    categories: tuple[Singles, ...]
    layers: tuple[NetworkLayer, ...]
    head_weight: Singles
    head_bias: Singles

    def embed(self, values: Singles, missing: Singles, codes: npt.NDArray[np.int32]) -> list[Singles]:
        """Return the vectors [rows, width] of each column: numbers first."""
        turns = 2.0 * np.pi * self.frequencies[None] * values[..., None]
        parts = np.concatenate([np.sin(turns), np.cos(turns), values[..., None], missing[..., None]], axis=2)
        found = [
            np.maximum(parts[:, j] @ self.number_weight[j] + self.number_bias[j], 0.0).astype(np.float32)
            for j in range(values.shape[1])
        ]
        return [*found, *(table[codes[:, j]] for j, table in enumerate(self.categories))]

    def members(self, columns: list[Singles]) -> Singles:
        """Return the outputs of each member [rows, members, outputs]."""
        states = np.concatenate(columns, axis=1)[:, None, :]
        for layer in self.layers:
            states = np.maximum(layer(states), 0.0)
        return np.asarray(np.einsum("rki,kio->rko", states, self.head_weight) + self.head_bias, np.float32)


@dataclass(frozen=True)
class TableNetwork:
    """Networks whose answers are averaged: probabilities of labels, or numbers.

    quantiles: [numbers, q], of each number in training rows. usual: the most frequent code of each category, from which
    contributions start. shift: [outputs], added to the raw scores.
    """

    quantiles: Floats
    usual: npt.NDArray[np.int32]
    networks: tuple[NetworkWeights, ...]
    shift: Floats
    has_labels: bool

    @property
    def outputs(self) -> int:
        return len(self.shift)

    def inputs(self, cells: Cells) -> tuple[Singles, Singles]:
        """Return numbers by their quantiles, in [-1.7, 1.7], 0 where missing, and which are missing: [rows, numbers]."""
        missing = np.isnan(cells.numbers)
        places = np.linspace(-(3.0**0.5), 3.0**0.5, self.quantiles.shape[1])
        values: Floats = np.zeros((len(cells), len(self.quantiles)))
        for j in range(len(self.quantiles)):
            values[:, j] = np.interp(cells.numbers[:, j], self.quantiles[j], places)
        values[missing] = 0.0
        return values.astype(np.float32), missing.astype(np.float32)

    def raw(self, cells: Cells) -> Floats:
        """Return [rows, outputs]: logarithms of mean probabilities, or mean numbers."""
        values, missing = self.inputs(cells)
        found = np.zeros((len(cells), self.outputs))
        for start in range(0, len(cells), _CHUNK):
            part = slice(start, start + _CHUNK)
            columns = [n.embed(values[part], missing[part], cells.codes[part]) for n in self.networks]
            found[part] = self._answer(columns)
        return found

    def _answer(self, columns: list[list[Singles]]) -> Floats:
        """Return [rows, outputs] of the embedded columns of each network."""
        pairs = zip(self.networks, columns, strict=True)
        each = np.concatenate([network.members(own) for network, own in pairs], axis=1).astype(np.float64)
        if not self.has_labels:
            return np.asarray(each.mean(axis=1) + self.shift)
        each -= each.max(axis=2, keepdims=True)
        chances = np.exp(each)
        chances /= chances.sum(axis=2, keepdims=True)
        return np.asarray(np.log(np.maximum(chances.mean(axis=1), 1e-12)) + self.shift)

    def contributions(self, cells: Cells) -> Floats:
        """Return [rows, numbers + categories, outputs]: Shapley values against a usual row, over a few orders of columns.

        They sum exactly to the difference from the answer to the usual row: medians, most frequent categories.
        """
        values, missing = self.inputs(cells)
        width = values.shape[1] + cells.codes.shape[1]
        usual = np.broadcast_to(self.usual, cells.codes.shape)
        plain = np.zeros_like(values)
        own = [n.embed(values, missing, cells.codes) for n in self.networks]
        start = [n.embed(plain, plain, usual) for n in self.networks]
        found = np.zeros((len(cells), width, self.outputs))
        draw = np.random.default_rng(0)
        orders = [order for _ in range(_ORDERS) for order in _both_ways(draw.permutation(width))]
        for order in orders:
            columns = [list(each) for each in start]
            before = self._answer(columns)
            for column in order.tolist():
                for place, each in enumerate(columns):
                    each[column] = own[place][column]
                after = self._answer(columns)
                found[:, column] += (after - before) / len(orders)
                before = after
        return found

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the model as arrays, for safetensors."""
        found: dict[str, npt.NDArray[Any]] = {
            "quantiles": self.quantiles, "usual": self.usual, "shift": self.shift,
            "has_labels": np.array([self.has_labels]),
        }  # fmt: skip
        for number, network in enumerate(self.networks):
            found |= {f"net.{number}.{key}": array for key, array in _arrays_of(network).items()}
        return found

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> TableNetwork:
        """Return the model that `arrays` describes."""
        networks: list[NetworkWeights] = []
        while any(key.startswith(f"net.{len(networks)}.") for key in arrays):
            prefix = f"net.{len(networks)}."
            own = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
            networks.append(_network_of(own))
        return TableNetwork(
            arrays["quantiles"],
            arrays["usual"],
            tuple(networks),
            arrays["shift"],
            bool(arrays["has_labels"][0]),
        )


def _both_ways(order: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return order, order[::-1]


def _arrays_of(network: NetworkWeights) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {
        "frequencies": network.frequencies, "number_weight": network.number_weight,
        "number_bias": network.number_bias, "head_weight": network.head_weight, "head_bias": network.head_bias,
    }  # fmt: skip
    found |= {f"category.{place}": table for place, table in enumerate(network.categories)}
    for place, layer in enumerate(network.layers):
        found |= {
            f"layer.{place}.{key}": getattr(layer, key) for key in ("before", "weight", "after", "bias")
        }
    return found


def _network_of(arrays: Mapping[str, npt.NDArray[Any]]) -> NetworkWeights:
    categories = tuple(arrays[f"category.{j}"] for j in range(_count(arrays, "category.")))
    layers = tuple(
        NetworkLayer(*(arrays[f"layer.{place}.{key}"] for key in ("before", "weight", "after", "bias")))
        for place in range(_count(arrays, "layer.") // 4)
    )
    return NetworkWeights(
        arrays["frequencies"], arrays["number_weight"], arrays["number_bias"], categories, layers,
        arrays["head_weight"], arrays["head_bias"],
    )  # fmt: skip


def _count(arrays: Mapping[str, Any], prefix: str) -> int:
    return sum(key.startswith(prefix) for key in arrays)
