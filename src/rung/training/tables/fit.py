"""Fit a table model: features, folds, candidates, model selection, final fit, calibration."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.tables.features import MIN_VALUE_ROWS, TableFeatures
from rung.modalities.tables.fitted import FittedTable
from rung.modalities.tables.target_transform import TargetTransform
from rung.modalities.tables.text_feature import TextScorer
from rung.runtime.classification.decision_threshold import DecisionThreshold
from rung.runtime.linear.head import Calibration
from rung.training.linear.calibration import calibrate
from rung.training.linear.search import encode_labels
from rung.training.tables.candidates import list_candidates
from rung.training.tables.class_balance import prior_shift, shift_scores
from rung.training.tables.decision_threshold import min_cost_threshold
from rung.training.tables.features import fit_features
from rung.training.tables.folds import group_folds, selection_folds
from rung.training.tables.model_selection import (
    affordable_bags,
    fit_member,
    select_models,
    selection_summary,
)
from rung.training.tables.objective import Floats, Ints, TrainingTargets
from rung.training.tables.target_transform import calibrate_interval, fit_target_transform
from rung.training.tables.text_feature import fit_text_scorer
from rung.training.tables.tree_onnx import with_onnx


def fit_table(
    examples: Examples, families: Sequence[str], mixes: bool, params: Any, context: FitContext
) -> FittedTable:
    """Return a model fitted on these rows. families: kinds of member models to try. mixes: allow several
    members.
    """
    return fit_held_out(examples, families, mixes, params, context)[0]


def fit_held_out(
    examples: Examples, families: Sequence[str], mixes: bool, params: Any, context: FitContext
) -> tuple[FittedTable, Ints, Floats]:
    """Return the model, the rows that a fold held out, and its probabilities for them ([rows, labels]; of numbers, raw scores)."""
    begun = time.monotonic()
    y, scale = _training_targets(examples)
    codes = y.codes if y.codes is not None else _deciles(y.targets[:, 0])
    folds = selection_folds(codes, examples.units, context.effort, context.seed)
    # Only trees learn from values of one or two rows: they see target statistics instead of one weight a
    # value.
    fewest = (getattr(params, "fewest_rows", None) or 1) if "trees" in families else MIN_VALUE_ROWS
    features, text_scores = _fit_features(examples, y, fewest, context)
    cells = features.encode(examples.inputs, text_scores)
    candidates = list_candidates(families, mixes, len(cells), y, params, context)
    found = select_models(cells, y, folds, candidates, context, mixes)
    truth = y.take(found.rows)
    calibration, decision, shift = Calibration(), DecisionThreshold(), np.zeros(y.outputs)
    if truth.codes is not None:
        calibration = calibrate(found.raw, truth.codes, context.seed, conservative=True)
        if any(member.settings.get("balance", "none") != "none" for member, _ in found.members):
            shift = prior_shift(found.raw, truth.codes, calibration.scale)
            calibration = calibrate(found.raw + shift, truth.codes, context.seed, conservative=True)
        if y.outputs == 2:
            probabilities = calibration.apply(found.raw + shift)
            decision = min_cost_threshold(probabilities, truth.codes == 1, examples.schema.costs)
    else:
        values = np.array([examples.targets[i] for i in found.rows.tolist()], dtype=np.float64)
        scale = calibrate_interval(scale, found.raw[:, 0], np.clip(values, scale.low, scale.high))
    bags = affordable_bags(found, folds, len(cells), time.monotonic() - begun, context)
    members = [fit_member(cells, y, member, bags, context) for member, _ in found.members]
    members[0] = shift_scores(members[0], shift / found.members[0][1])
    chosen = selection_summary(found) | {"left_out": dict(features.left_out)}
    if y.codes is not None:
        chosen |= {"calibration": calibration.kind}
    if decision.threshold is not None:
        chosen |= {"threshold": round(decision.threshold, 5)}
    weights = tuple(weight for _, weight in found.members)
    stored = tuple(with_onnx(member) for member in members)
    fitted = FittedTable(features, stored, weights, calibration, decision, scale, chosen)
    held_out = found.raw if truth.codes is None else calibration.apply(found.raw + shift)
    return fitted, found.rows, held_out


def _training_targets(examples: Examples) -> tuple[TrainingTargets, TargetTransform]:
    labels = examples.schema.labels
    if labels:
        codes = encode_labels(examples.targets, labels)
        return TrainingTargets(np.eye(len(labels))[codes], codes), TargetTransform()
    values = np.array(examples.targets, dtype=np.float64)
    scale = fit_target_transform(values)
    kept = np.clip(values, scale.low, scale.high)
    return TrainingTargets(scale.transform(kept)[:, None], None), scale


def _deciles(targets: Floats) -> npt.NDArray[np.int64]:
    """Return the decile of each number, to stratify folds by."""
    rank = np.argsort(np.argsort(targets, kind="stable"), kind="stable")
    return np.asarray(rank * 10 // max(len(targets), 1), dtype=np.int64)


def _fit_features(
    examples: Examples, y: TrainingTargets, fewest: int, context: FitContext
) -> tuple[TableFeatures, dict[str, Floats]]:
    """Return the features, and out-of-fold scores of each text column."""
    names = [f.name for f in examples.schema.inputs if f.kind == "text"]
    texts: dict[str, TextScorer] = {}
    scores: dict[str, Floats] = {}
    if names:
        folds = group_folds(examples.units, context.seed)
        targets = y.targets[:, 1:] if y.outputs == 2 else y.targets
        for name in names:
            texts[name], scores[name] = fit_text_scorer(examples.inputs[name], targets, folds)
    return fit_features(examples.schema, examples.inputs, texts, fewest), scores
