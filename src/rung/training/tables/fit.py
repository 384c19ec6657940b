"""From training rows of a table to a fitted model: features, folds, candidates, the choice, the final fit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.tables.features import MIN_VALUE_ROWS, TableFeatures, fit_features
from rung.modalities.tables.fitted import FittedTable
from rung.modalities.tables.target_transform import TargetTransform, calibrate_interval, fit_target_transform
from rung.modalities.tables.text_feature import TextScorer
from rung.runtime.classification.decision_threshold import DecisionThreshold, min_cost_threshold
from rung.runtime.linear.head import Calibration
from rung.training.linear.calibration import calibrate
from rung.training.linear.search import encode_labels
from rung.training.tables.candidates import list_candidates
from rung.training.tables.class_balance import prior_shift, shift_scores
from rung.training.tables.folds import group_folds, selection_folds
from rung.training.tables.model_selection import (
    affordable_bags,
    fit_member,
    select_models,
    selection_summary,
)
from rung.training.tables.objective import Floats, TrainingTargets
from rung.training.tables.text_feature import fit_text_scorer


def fit_table(
    examples: Examples, families: Sequence[str], mixes: bool, params: Any, context: FitContext
) -> FittedTable:
    """Return features, parts and calibration fitted on these rows alone. families: kinds of parts to try."""
    begun = time.monotonic()
    goal, scale = _training_targets(examples)
    codes = goal.codes if goal.codes is not None else _deciles(goal.targets[:, 0])
    folds = selection_folds(codes, examples.units, context.effort, context.seed)
    # Only trees, which see a value as a number, learn from those of one or two rows.
    fewest = (getattr(params, "fewest_rows", None) or 1) if "trees" in families else MIN_VALUE_ROWS
    features, apart = _fit_features(examples, goal, fewest, context)
    cells = features.encode(examples.inputs, apart)
    wanted = list_candidates(families, mixes, len(cells), goal, params, context)
    found = select_models(cells, goal, folds, wanted, context, mixes)
    truth = goal.take(found.rows)
    calibration, decision, even = Calibration(), DecisionThreshold(), np.zeros(goal.outputs)
    if truth.codes is not None:
        calibration = calibrate(found.raw, truth.codes, context.seed, careful=True)
        if any(member.settings.get("balance", "none") != "none" for member, _ in found.members):
            even = prior_shift(found.raw, truth.codes, calibration.scale)
            calibration = calibrate(found.raw + even, truth.codes, context.seed, careful=True)
        if goal.outputs == 2:
            said = calibration.apply(found.raw + even)
            decision = min_cost_threshold(said, truth.codes == 1, examples.schema.costs)
    else:
        values = np.array([examples.targets[i] for i in found.rows.tolist()], dtype=np.float64)
        scale = calibrate_interval(scale, found.raw[:, 0], values)
    bags = affordable_bags(found, folds, len(cells), time.monotonic() - begun, context)
    parts = [fit_member(cells, goal, member, bags, context) for member, _ in found.members]
    parts[0] = shift_scores(parts[0], even / found.members[0][1])
    chosen = selection_summary(found) | {"left_out": dict(features.left_out)}
    if goal.codes is not None:
        chosen |= {"calibration": calibration.kind}
    if decision.threshold is not None:
        chosen |= {"threshold": round(decision.threshold, 5)}
    weights = tuple(weight for _, weight in found.members)
    return FittedTable(features, tuple(parts), weights, calibration, decision, scale, chosen)


def _training_targets(examples: Examples) -> tuple[TrainingTargets, TargetTransform]:
    labels = examples.schema.labels
    if labels:
        codes = encode_labels(examples.targets, labels)
        return TrainingTargets(np.eye(len(labels))[codes], codes), TargetTransform()
    values = np.array(examples.targets, dtype=np.float64)
    scale = fit_target_transform(values)
    return TrainingTargets(scale.transform(values)[:, None], None), scale


def _deciles(targets: Floats) -> npt.NDArray[np.int64]:
    """Return which tenth of the range by rank each number is in: folds then get small and large ones alike."""
    rank = np.argsort(np.argsort(targets, kind="stable"), kind="stable")
    return np.asarray(rank * 10 // max(len(targets), 1), dtype=np.int64)


def _fit_features(
    examples: Examples, goal: TrainingTargets, fewest: int, context: FitContext
) -> tuple[TableFeatures, dict[str, Floats]]:
    """Return the packed features, and scores of each text column by models that had not seen the row."""
    names = [f.name for f in examples.schema.inputs if f.kind == "text"]
    texts: dict[str, TextScorer] = {}
    apart: dict[str, Floats] = {}
    if names:
        folds = group_folds(examples.units, context.seed)
        targets = goal.targets[:, 1:] if goal.outputs == 2 else goal.targets
        for name in names:
            texts[name], apart[name] = fit_text_scorer(examples.inputs[name], targets, folds)
    return fit_features(examples.schema, examples.inputs, texts, fewest), apart
