"""Train a network whose answer is one label of several: loss, score, calibration, and a second training on all rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rung.core.model import FitContext
from rung.core.training_params import ClassifierParams
from rung.runtime.linear.head import Calibration
from rung.training.linear.calibration import calibrate
from rung.training.linear.label_sets import calibrate_sets, score_sets
from rung.training.linear.paired_gain import search_score
from rung.training.torch.learner import Learner
from rung.training.torch.losses import classification_loss, multilabel_loss, row_weights
from rung.training.torch.trainer import History

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# Fewer validation rows than this do not tell a temperature.
_CALIBRATION_ROWS = 10
# Below this many rows a network from scratch is trained again with the validation rows, unless told otherwise.
REFIT_ROWS = 5_000


class LabelledRows(Protocol):
    """Rows in the form that a network reads. codes: the number of each row's label, or [rows, labels] of 0 and 1; lengths: tokens, or 1."""

    @property
    def codes(self) -> Ints: ...

    @property
    def lengths(self) -> Ints: ...

    def __len__(self) -> int: ...


Rows = TypeVar("Rows", bound=LabelledRows)


class ClassifierLearner(Learner, Generic[Rows]):
    """A network with one output a label. told: called after each epoch with its number and score."""

    def __init__(
        self,
        module: nn.Module,
        rows: Rows,
        labels: int,
        params: ClassifierParams,
        context: FitContext,
        validation: Rows | None = None,
    ) -> None:
        balanced = params.class_weight == "balanced"
        super().__init__(module, rows.lengths, row_weights(rows.codes, labels, balanced))
        self.rows, self.labels, self.params = rows, labels, params
        self.validation = validation
        self.goal, self.goal_name = search_score(context.goal), context.goal
        self.told: Callable[[int, float | None], None] | None = None

    @abstractmethod
    def outputs(self, rows: Rows, places: Ints) -> Tensor:
        """Return the logits [places, labels] of some rows; in training, of rows that are changed at random."""

    @abstractmethod
    def batches(self, rows: Rows) -> Iterator[Ints]:
        """Yield the places of all rows, in parts that are answered together."""

    def epoch_ended(self, epoch: int, score: float | None) -> None:
        if self.told is not None:
            self.told(epoch, score)

    def loss(self, rows: Ints) -> Tensor:
        return self.loss_of(self.outputs(self.rows, rows), rows)

    def loss_of(self, logits: Tensor, rows: Ints) -> Tensor:
        """Return the weighted sum of the losses of these logits [rows, labels] against the labels of training rows."""
        codes = torch.as_tensor(self.rows.codes[rows], device=logits.device)
        weights = torch.as_tensor(self.weights[rows], dtype=torch.float32, device=logits.device)
        if codes.ndim > 1:
            # Label smoothing moves each yes or no towards one half.
            smoothing = self.params.label_smoothing
            marks = codes.to(torch.float32) * (1.0 - smoothing) + smoothing / 2
            return multilabel_loss(logits, marks, weights)
        return classification_loss(logits, codes, weights, self.params.label_smoothing, self.params.focal)

    def score(self) -> float | None:
        """Return the bar's metric on validation rows, minus a thousandth of their log loss, which breaks ties."""
        if self.validation is None or not len(self.validation):
            return None
        logits, codes = self.logits(self.validation), self.validation.codes
        if codes.ndim > 1:
            return score_sets(logits, codes.astype(np.float64), self.goal_name)
        found = self.goal(codes, logits.argmax(axis=1), np.ones(len(codes)), self.labels)
        chances = Calibration().apply(logits)[np.arange(len(codes)), codes]
        return found + 1e-3 * float(np.log(np.maximum(chances, 1e-12)).mean())

    @torch.no_grad()
    def logits(self, rows: Rows) -> Floats:
        """Return the logits [rows, labels] of the module as it is."""
        self.module.eval()
        found = np.zeros((len(rows), self.labels))
        for places in self.batches(rows):
            found[places] = self.outputs(rows, places).float().cpu().numpy()
        return found


def fit_calibration(learner: ClassifierLearner[Any], context: FitContext) -> Calibration:
    """Return the temperature that fits validation rows best, 1 without such rows; of sets of labels thresholds as well."""
    rows = learner.validation
    if learner.rows.codes.ndim > 1:
        # Sets need thresholds in any case: without held-out rows, those of the rows that were learned.
        told = learner.rows if rows is None or len(rows) < _CALIBRATION_ROWS else rows
        return calibrate_sets(learner.logits(told), told.codes.astype(np.float64), context.goal)
    if rows is None or len(rows) < _CALIBRATION_ROWS:
        return Calibration()
    found = calibrate(learner.logits(rows), rows.codes, context.seed, allow_isotonic=False, conservative=True)
    return Calibration(scale=found.scale)


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained network, its calibration, and how the training that was scored went."""

    module: nn.Module
    calibration: Calibration
    history: History
    score: float | None
    rows: int

    @property
    def chosen(self) -> dict[str, Any]:
        """Return what was chosen in training, and under `training` how it went by epoch."""
        return {
            "rows": self.rows, "epochs": self.history.best_epoch, "learning_rate": self.history.rate,
            "loss": round(self.history.losses[-1], 4),
            **({} if self.score is None else {"validation_score": round(self.score, 4)}),
            "calibration": f"temperature {1.0 / self.calibration.scale:.3g}",
            "training": self.history.by_epoch(),
        }  # fmt: skip


def train_and_refit(
    fit: Callable[[Rows, Rows | None, Any, FitContext], tuple[ClassifierLearner[Rows], History]],
    rows: Rows,
    validation: Rows | None,
    params: Any,
    context: FitContext,
    all_rows: Callable[[], Rows] | None,
) -> TrainedClassifier:
    """Return the network that `fit` trains, stopped early and calibrated on validation rows.

    all_rows: training and validation rows together; where given, and there are validation rows, the network is trained
    again on them, for as many epochs as were best. params: a ClassifierParams.
    """
    learner, history = fit(rows, validation, params, scratch_for(context, "first"))
    calibration, score = fit_calibration(learner, context), learner.score()
    if validation is not None and all_rows is not None:
        fixed = replace(params, epochs=max(history.best_epoch, 1), patience=0, learning_rate=history.rate)
        learner, _ = fit(all_rows(), None, fixed, scratch_for(context, "all"))
    return TrainedClassifier(learner.module, calibration, history, score, len(learner.rows))


def scratch_for(context: FitContext, name: str) -> FitContext:
    """Return the context with a scratch folder of its own for one of several trainings."""
    return context if context.scratch is None else replace(context, scratch=context.scratch / name)
