"""Fit a linear head for sets of labels: each label against the rest, calibrated, with a threshold of its own.

The search, the calibration (Platt 1999) and the thresholds all come from scores out of fold; the weights that ship are fitted
on all rows. A label's calibration is folded into its weights, so that a head stores nothing but weights and thresholds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.activity import doing
from rung.core.label_sets import marks_of
from rung.core.model import FitContext
from rung.core.types import Examples, Schema
from rung.runtime.linear.head import Calibration, LinearHead
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.ridge import ridge
from rung.training.linear.search import (
    FeatureSets,
    HeadKind,
    Heads,
    affordable_rows,
    encode_labels,
    search_and_fit,
)
from rung.training.linear.stratified import stratified_sample

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_FOLDS = 3
# Rows on which probabilities and thresholds are fitted, at most: many more than the search of a head needs.
_CALIBRATION_ROWS = 10_000
# Labels with fewer rows than this take the threshold of all labels: theirs would follow a handful of rows.
_LEAST_ROWS = 10
# Score of a label that no row has.
_NEVER = -10.0
_STEPS = 30


def codes_of(targets: Sequence[Any], schema: Schema) -> npt.NDArray[Any]:
    """Return the number of each target's label, [rows]; or, for sets, which labels each holds, [rows, labels] of 0 and 1."""
    return marks_of(targets, schema.label_set) if schema.label_set else encode_labels(targets, schema.labels)


def search_and_fit_classes(
    sets: FeatureSets, codes: npt.NDArray[Any], labels: Sequence[str], heads: Heads, context: FitContext
) -> tuple[str, LinearHead, dict[str, Any]]:
    """Return the name of the best feature set, the head fitted on it, and what was chosen. codes: as `codes_of` gives them."""
    if codes.ndim == 1:
        return search_and_fit(sets, codes, len(labels), heads, context)
    return search_and_fit_sets(sets, codes, heads, context, labels)


def search_and_fit_sets(
    sets: FeatureSets, marks: Floats, heads: Heads, context: FitContext, labels: Sequence[str]
) -> tuple[str, LinearHead, dict[str, Any]]:
    """Return the name of the best feature set, the head fitted on it, and what was chosen.

    marks: [rows, labels]. heads are compared by the bar's metric at the thresholds that suit them best, out of fold; all on
    the first set, the two best on the others.
    """
    affordable = affordable_rows(next(iter(sets.values())), len(labels), context.effort)
    rows = sample_rows(marks, affordable, context.seed)
    results: list[tuple[float, str, HeadKind, float]] = []
    best: Floats | None = None
    for number, (name, matrix) in enumerate(sets.items()):
        part = matrix.take(rows)
        if number:
            heads = [(head, c) for _, _, head, c in sorted(results, key=lambda item: -item[0])[:2]]
        for head, c in heads:
            with doing("search", name=f"{name}, {head}, C {c:g}"):
                scores = _out_of_fold(part, marks[rows], head, c, context.seed)
            chances = _platt_applied(scores, marks[rows])
            cut = choose_thresholds(chances, marks[rows], context.goal)
            reached = set_score(marks[rows], chances >= cut, context.goal, labels)
            if best is None or reached > max(score for score, *_ in results):
                best = scores
            results.append((reached, name, head, c))
    if best is None:
        raise ValueError("a search needs at least one set and one head")
    reached, name, head, c = max(results, key=lambda item: item[0])
    told = sample_rows(marks, max(_CALIBRATION_ROWS, len(rows)), context.seed)
    if len(told) > len(rows):
        # A head fitted on few rows is less sure than the one that ships: thresholds come from one fitted on more.
        with doing("search", name=f"{name}, {head}, C {c:g}"):
            best = _out_of_fold(sets[name].take(told), marks[told], head, c, context.seed)
        rows = told
    slopes, offsets = platt(best, marks[rows])
    thresholds = choose_thresholds(_sigmoid(best * slopes + offsets), marks[rows], context.goal)
    weights, bias = _fit(sets[name], marks, head, c, context.seed)
    fitted = LinearHead(
        (weights * slopes).astype(np.float32),
        (bias * slopes + offsets).astype(np.float32),
        Calibration("sigmoid", thresholds=tuple(round(float(t), 6) for t in thresholds)),
    )
    return name, fitted, {
        "features": name, "head": head, "c": c, "calibration": "sigmoid a label",
        **fitted.calibration.chosen(labels),
        "search_score": round(reached, 4), "search_rows": len(rows), "candidates_tried": len(results),
    }  # fmt: skip


def choose_thresholds(chances: Floats, marks: Floats, goal: str) -> Floats:
    """Return the probability from which each label is given, [labels]. chances: out of fold or held out, [rows, labels].

    For the Hamming loss and whole sets it is one half. For micro-F1 all labels share the one that is best on these rows:
    with calibrated probabilities that is optimal (Lipton et al. 2014). For macro-F1 and the F1 of labels each has its own,
    half-way between the two probabilities around the best cut; rare labels take the shared one.
    """
    kind = goal.partition(":")[0]
    if kind in {"hamming_loss", "subset_accuracy"} or not len(chances):
        return np.full(marks.shape[1], 0.5)
    shared = _best_cut(chances.ravel(), marks.ravel())
    found = np.full(marks.shape[1], shared)
    if kind == "micro_f1":
        return found
    for column in range(marks.shape[1]):
        if marks[:, column].sum() >= _LEAST_ROWS:
            found[column] = _best_cut(chances[:, column], marks[:, column])
    return found


def set_score(marks: Floats, said: npt.NDArray[Any], goal: str, labels: Sequence[str] = ()) -> float:
    """Return the score that a search goes by for a bar's metric; marks, said: [rows, labels] of 0 and 1."""
    kind, _, label = goal.partition(":")
    if kind == "subset_accuracy":
        return float((marks == said).all(axis=1).mean())
    if kind == "hamming_loss":
        return 1.0 - float(np.abs(marks - said).mean())
    if label and label in labels:
        marks, said = (part[:, [labels.index(label)]] for part in (marks, said))
    tp, off = (marks * said).sum(axis=0), np.abs(marks - said).sum(axis=0)
    if kind == "macro_f1":
        return float((2 * tp / np.maximum(2 * tp + off, 1)).mean())
    hits, misses = float(tp.sum()), float(off.sum())
    return 2 * hits / max(2 * hits + misses, 1.0)


def score_sets(logits: Floats, marks: Floats, goal: str) -> float:
    """Return the bar's metric of a network's logits at their best thresholds, minus a thousandth of the log loss."""
    chances = _sigmoid(logits)
    found = set_score(marks, chances >= choose_thresholds(chances, marks, goal), goal)
    return found - 1e-3 * _log_loss(chances, marks)


def calibrate_sets(logits: Floats, marks: Floats, goal: str) -> Calibration:
    """Return the temperature that fits these rows best, one for all labels, and the thresholds that suit the goal.

    A network trained on the log loss is about calibrated; one number corrects that it is too sure.
    """
    scales = np.exp(np.linspace(np.log(0.2), np.log(5.0), 41))
    scale = float(min(scales, key=lambda s: _log_loss(_sigmoid(logits * s), marks)))
    thresholds = choose_thresholds(_sigmoid(logits * scale), marks, goal)
    return Calibration("sigmoid", scale, thresholds=tuple(round(float(t), 6) for t in thresholds))


def _log_loss(chances: Floats, marks: Floats) -> float:
    given = np.where(marks > 0, chances, 1.0 - chances)
    return float(-np.log(given.clip(1e-12)).mean())


def platt(scores: Floats, marks: Floats) -> tuple[Floats, Floats]:
    """Return the slope and the offset of each label's sigmoid, [labels] each, by Newton's method on Platt's targets."""
    slopes, offsets = np.ones(marks.shape[1]), np.zeros(marks.shape[1])
    for column in range(marks.shape[1]):
        slopes[column], offsets[column] = _platt_one(scores[:, column], marks[:, column])
    return slopes, offsets


def _platt_one(scores: Floats, marks: Floats) -> tuple[float, float]:
    positive, negative = float(marks.sum()), float(len(marks) - marks.sum())
    if not positive or not negative:
        return 1.0, 0.0
    targets = np.where(marks > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.column_stack([scores, np.ones(len(scores))])
    found = np.array([1.0, float(np.log((positive + 1) / (negative + 1)))])
    for _ in range(_STEPS):
        chances = _sigmoid(design @ found)
        gradient = design.T @ (chances - targets)
        curvature = (design * (chances * (1 - chances))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # A long step of Newton's method would leave the region where it holds.
        found -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-6:
            break
    # Scores that fall as labels get likelier say nothing: then the label's share answers.
    if found[0] <= 0.0 or not np.isfinite(found).all():
        return 1e-3, float(np.log((positive + 1) / (negative + 1)))
    return float(found[0]), float(found[1])


def _platt_applied(scores: Floats, marks: Floats) -> Floats:
    slopes, offsets = platt(scores, marks)
    return _sigmoid(scores * slopes + offsets)


def _best_cut(chances: Floats, marks: Floats) -> float:
    """Return the probability from which on giving a label has the best F1; half-way to the next lower one."""
    order = np.argsort(-chances, kind="stable")
    ordered, hits = chances[order], np.cumsum(marks[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + max(float(marks.sum()), 1.0))
    last = np.r_[ordered[1:] != ordered[:-1], True]
    place = int(np.where(last, f1, -1.0).argmax())
    below = ordered[place + 1] if place + 1 < len(ordered) else 0.0
    return float((ordered[place] + below) / 2)


def _out_of_fold(matrix: FeatureMatrix, marks: Floats, head: HeadKind, c: float, seed: int) -> Floats:
    fold = np.random.default_rng(seed).permutation(len(marks)) % _FOLDS
    scores = np.zeros(marks.shape)
    for number in range(_FOLDS):
        learn, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        weights, bias = _fit(matrix.take(learn), marks[learn], head, c, seed)
        scores[test] = matrix.take(test).dot(weights) + bias
    return scores


def _fit(matrix: FeatureMatrix, marks: Floats, head: HeadKind, c: float, seed: int) -> tuple[Floats, Floats]:
    """Return weights [features, labels] and bias [labels]; a label that all rows or none have gets a constant."""
    share = marks.mean(axis=0)
    weights, bias = np.zeros((matrix.shape[1], marks.shape[1])), np.where(share > 0.5, -_NEVER, _NEVER)
    varies = np.flatnonzero((share > 0) & (share < 1))
    if head == "ridge" and len(varies):
        weights[:, varies], bias[varies] = ridge(matrix, 2.0 * marks[:, varies] - 1.0, 1.0 / c)
        return weights, bias
    joined = matrix.joined()
    for column in varies.tolist():
        coefficients, bias[column] = _fit_one(joined, marks[:, column], head, c, seed)
        weights[:, column] = coefficients
    return weights, bias


def _fit_one(rows: Any, marks: Floats, head: HeadKind, c: float, seed: int) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    model: Any = (
        LinearSVC(C=c, tol=0.01, random_state=seed)
        if head == "svc"
        else LogisticRegression(C=c, tol=1e-4, max_iter=300, random_state=seed)
    )
    with warnings.catch_warnings():
        # A head that does not converge is judged like any other, by its scores out of fold.
        warnings.simplefilter("ignore")
        model.fit(rows, marks.astype(int))
    return model.coef_[0], float(model.intercept_[0])


def sample_examples(examples: Examples, most: int, seed: int) -> Examples:
    """Return at most so many rows: every label in its share, or of sets two rows of each at least."""
    if len(examples) <= most:
        return examples
    codes = codes_of(examples.targets, examples.schema)
    sample = stratified_sample if codes.ndim == 1 else sample_rows
    return examples.take(sample(codes, most, seed).tolist())


def sample_rows(marks: Floats, most: int, seed: int) -> Ints:
    """Return at most so many rows, ascending, at random; rows of rare labels come first, two of each label at least."""
    if len(marks) <= most:
        return np.arange(len(marks))
    order = np.random.default_rng(seed).permutation(len(marks))
    first = [order[np.flatnonzero(column)[:2]] for column in marks[order].T]
    kept = dict.fromkeys([*np.concatenate(first).tolist(), *order.tolist()])
    return np.sort(np.array(list(kept)[:most], dtype=np.int64))


def _sigmoid(scores: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-scores.clip(-60.0, 60.0))))
