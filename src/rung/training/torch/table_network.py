"""Train the network of a table: the module, its learner, early stopping on rows held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.core.model import FitContext
from rung.core.training_params import TrainingParams
from rung.modalities.tables.features import Cells
from rung.modalities.tables.network import NetworkLayer, NetworkWeights, TableNetwork
from rung.training.linear.stratified import stratified_folds
from rung.training.tables.objective import TrainingTargets
from rung.training.torch.devices import training_threads
from rung.training.torch.learner import Learner
from rung.training.torch.trainer import train

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_QUANTILES = 64
# Standard deviation of the frequencies when training starts, and a column's width after its embedding.
_FREQUENCY, _COLUMN_WIDTH = 0.3, 12
_SCORE_ROWS = 8_192
# A sixth of fewer rows tells nothing: training stops by the loss on all of them.
_FEW_ROWS = 100


@dataclass(frozen=True)
class TableRows:
    """Rows as tensors: numbers by quantiles, which are missing, codes, targets (label numbers or numbers), weights."""

    values: Tensor
    missing: Tensor
    codes: Tensor
    targets: Tensor
    weights: Floats

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: Ints) -> TableRows:
        """Return these rows."""
        index = torch.as_tensor(rows)
        values, missing, codes = self.values[index], self.missing[index], self.codes[index]
        return TableRows(values, missing, codes, self.targets[index], self.weights[rows])


class MemberLayer(nn.Module):
    """A linear layer of several members that differ in the scales of its inputs and outputs and in the bias."""

    def __init__(self, members: int, inputs: int, outputs: int, random_signs: bool) -> None:
        super().__init__()
        signs = torch.randint(0, 2, (members, inputs)).float() * 2 - 1
        self.before = nn.Parameter(signs if random_signs else torch.ones(members, inputs))
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-1, 1) / inputs**0.5)
        self.after = nn.Parameter(torch.ones(members, outputs))
        self.bias = nn.Parameter((torch.rand(outputs) * 2 - 1).repeat(members, 1) / inputs**0.5)
        self.undecayed = {"before", "after", "bias"}

    def forward(self, states: Tensor) -> Tensor:
        return (states * self.before) @ self.weight * self.after + self.bias


class TableModule(nn.Module):
    """Columns to the outputs of each member [rows, members, outputs]; `NetworkWeights` answers the same in numpy."""

    def __init__(
        self, numbers: int, sizes: tuple[int, ...], outputs: int, settings: Mapping[str, Any]
    ) -> None:
        super().__init__()
        members, width = int(settings["members"]), int(settings["width"])
        frequencies, column = int(settings["frequencies"]), _COLUMN_WIDTH
        self.frequencies = nn.Parameter(torch.randn(numbers, frequencies) * _FREQUENCY)
        inside = 2 * frequencies + 2
        self.number_weight = nn.Parameter(torch.empty(numbers, inside, column).uniform_(-1, 1) / inside**0.5)
        self.number_bias = nn.Parameter(torch.zeros(numbers, column))
        self.categories = nn.ModuleList(nn.Embedding(size, _embedding_width(size)) for size in sizes)
        for table in self.categories:
            nn.init.normal_(table.weight, std=0.3)  # type: ignore[arg-type]
        wide = numbers * column + sum(_embedding_width(size) for size in sizes)
        counts = [wide, *[width] * int(settings["layers"])]
        self.layers = nn.ModuleList(
            MemberLayer(members, a, b, place == 0)
            for place, (a, b) in enumerate(zip(counts, counts[1:], strict=False))
        )
        self.dropout = nn.Dropout(float(settings["dropout"]))
        self.head_weight = nn.Parameter(
            torch.empty(members, counts[-1], outputs).uniform_(-1, 1) / width**0.5
        )
        self.head_bias = nn.Parameter(torch.zeros(members, outputs))
        self.undecayed = {"frequencies", "number_bias", "head_bias"} | {
            f"layers.{place}.{name}"
            for place in range(len(self.layers))
            for name in ("before", "after", "bias")
        }

    def forward(self, values: Tensor, missing: Tensor, codes: Tensor) -> Tensor:
        turns = 2.0 * torch.pi * self.frequencies * values[..., None]
        parts = torch.cat([torch.sin(turns), torch.cos(turns), values[..., None], missing[..., None]], dim=2)
        numbers = torch.relu(torch.einsum("rji,jio->rjo", parts, self.number_weight) + self.number_bias)
        vectors = [table(codes[:, j]) for j, table in enumerate(self.categories)]
        states = torch.cat([numbers.flatten(1), *vectors], dim=1)[:, None]
        for layer in self.layers:
            states = self.dropout(torch.relu(layer(states)))
        return torch.einsum("rki,kio->rko", states, self.head_weight) + self.head_bias

    def export(self) -> NetworkWeights:
        """Return the weights for numpy."""
        layers = tuple(
            NetworkLayer(*(_array(getattr(layer, key)) for key in ("before", "weight", "after", "bias")))
            for layer in self.layers
        )
        tables = tuple(_array(table.weight) for table in self.categories)  # type: ignore[arg-type]
        return NetworkWeights(
            _array(self.frequencies), _array(self.number_weight), _array(self.number_bias), tables, layers,
            _array(self.head_weight), _array(self.head_bias),
        )  # fmt: skip


class TableLearner(Learner):
    """Every member learns by itself: the loss is the mean of theirs; the score is minus their loss on validation rows."""

    def __init__(self, module: TableModule, rows: TableRows, validation: TableRows, has_labels: bool) -> None:
        super().__init__(module, np.ones(len(rows), np.int64), rows.weights)
        self.rows, self.validation, self.has_labels = rows, validation, has_labels

    def loss(self, rows: Ints) -> Tensor:
        return self._loss(self.rows.take(rows))

    def score(self) -> float | None:
        total = 0.0
        for start in range(0, len(self.validation), _SCORE_ROWS):
            part = np.arange(start, min(start + _SCORE_ROWS, len(self.validation)))
            total += float(self._loss(self.validation.take(part)))
        return -total / max(float(self.validation.weights.sum()), 1e-12)

    def _loss(self, rows: TableRows) -> Tensor:
        device = next(self.module.parameters()).device
        found = self.module(rows.values.to(device), rows.missing.to(device), rows.codes.to(device))
        members, targets = found.shape[1], rows.targets.to(device)
        if self.has_labels:
            repeated = targets[:, None].expand(-1, members).reshape(-1)
            each = functional.cross_entropy(found.flatten(0, 1), repeated, reduction="none")
            each = each.view(-1, members).mean(dim=1)
        else:
            each = torch.square(found[..., 0] - targets[:, None]).mean(dim=1)
        weighted: Tensor = (each * torch.as_tensor(rows.weights, dtype=torch.float32, device=device)).sum()
        return weighted


def train_table_network(
    cells: Cells, y: TrainingTargets, weights: Floats | None, settings: Mapping[str, Any], context: FitContext
) -> TableNetwork:
    """Return `settings["bags"]` networks, each stopped early on another sixth of the rows."""
    usual = np.array(
        [np.bincount(cells.codes[:, j], minlength=size).argmax() for j, size in enumerate(cells.sizes)],
        np.int32,
    )
    empty = TableNetwork(_quantiles(cells), usual, (), np.zeros(y.outputs), y.codes is not None)
    values, missing = empty.inputs(cells)
    targets = torch.as_tensor(y.codes) if y.codes is not None else torch.as_tensor(y.targets[:, 0]).float()
    rows = TableRows(
        torch.as_tensor(values), torch.as_tensor(missing), torch.as_tensor(cells.codes).long(), targets,
        np.ones(len(cells)) if weights is None else weights,
    )  # fmt: skip
    codes = y.codes if y.codes is not None else np.zeros(len(cells), np.int64)
    folds = stratified_folds(codes, 6, context.seed)
    params = _training_params(len(cells), settings)
    # Checkpoints are of one training; a fit of a table trains many short ones.
    context = replace(context, scratch=None)
    every = np.arange(len(cells))
    networks = []
    for bag in range(int(settings.get("bags", 1))):
        learn, held = folds[bag % len(folds)] if len(cells) >= _FEW_ROWS else (every, every)
        own = replace(context, seed=context.seed + 1_000 * bag)
        with training_threads(context.threads, own.seed):
            module = TableModule(cells.numbers.shape[1], cells.sizes, y.outputs, settings)
        learner = TableLearner(module, rows.take(learn), rows.take(held), y.codes is not None)
        train(learner, params, own)
        networks.append(module.cpu().export())
    return replace(empty, networks=tuple(networks))


def _training_params(rows: int, settings: Mapping[str, Any]) -> TrainingParams:
    batch = 32 if rows < 1_000 else 128 if rows < 10_000 else 512
    return TrainingParams(
        epochs=int(settings["epochs"]), batch_rows=batch, batch_tokens=1 << 30, weight_decay=1e-2, clip=1.0,
        learning_rate=float(settings["learning_rate"]), schedule="cosine", warmup=0.05,
        patience=int(settings["patience"]),
    )  # fmt: skip


def _quantiles(cells: Cells) -> Floats:
    """Return quantiles of each number [numbers, q]."""
    shares = np.linspace(0.0, 1.0, _QUANTILES)
    found = np.zeros((cells.numbers.shape[1], _QUANTILES))
    for j in range(len(found)):
        known = cells.numbers[:, j][~np.isnan(cells.numbers[:, j])]
        found[j] = np.quantile(known, shares) if len(known) else shares
    return found


def _embedding_width(size: int) -> int:
    return int(min(24, round(1.6 * size**0.56)))


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    return np.asarray(tensor.detach().cpu().numpy(), np.float32)
