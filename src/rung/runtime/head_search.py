"""Search and fit a linear head over ready features: kind, regularisation, calibration, on training rows alone."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.runtime.linear_head import Calibration, LinearHead

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
HeadKind = Literal["svc", "ridge", "logistic"]


@dataclass(frozen=True)
class Candidate:
    """One configuration: which feature set, which head, how strongly regularised (C; 1/alpha for ridge)."""

    features: str
    head: HeadKind
    c: float


@dataclass(frozen=True)
class Found:
    """The winner of a search: its cross-validated accuracy and every candidate's, for the report."""

    candidate: Candidate
    accuracy: float
    tried: tuple[tuple[Candidate, float], ...]


FeatureSets = dict[str, Any]


def grid(effort: int) -> list[tuple[HeadKind, float]]:
    """Return the (head, C) pairs worth trying at an effort of 0 to 5, likeliest first."""
    strengths: dict[int, tuple[float, ...]] = {0: (1.0,), 1: (1.0, 0.3), 2: (1.0, 0.3, 3.0)}
    cs = strengths.get(effort, (1.0, 0.1, 0.3, 3.0, 10.0))
    heads: list[HeadKind] = ["svc"] if effort < 2 else ["svc", "ridge"]
    found = [(head, c) for head in heads for c in cs]
    if effort >= 3:
        found += [("logistic", c) for c in (3.0, 10.0, 30.0)]
    return found


def search(
    sets: FeatureSets, codes: Ints, labels: int, heads: Sequence[tuple[HeadKind, float]], context: FitContext
) -> tuple[Found, Floats, Ints]:
    """Return the best candidate, its out-of-fold scores [rows looked at, labels], and which rows those are.

    sets: name -> matrix [rows, features], SciPy CSR or numpy, cheapest first. codes: label number of each
    row. All heads are tried on the first set, the two best of them on the others: which head wins hardly
    depends on the features. A sample is looked at, sized by what a fit on it costs.
    """
    rows = sample(codes, _affordable(sets, labels, context.effort), context.seed)
    heads = [
        head for head in heads if head[0] != "ridge" or _ridge_pays(sets, labels, context.effort)
    ] or heads
    folds = stratified_folds(codes[rows], 3 if context.effort < 4 else 5, context.seed)
    begun = time.monotonic()
    tried: list[tuple[Candidate, float]] = []
    best: tuple[float, Candidate, Floats] | None = None
    for index, (name, matrix) in enumerate(sets.items()):
        small = _without_empty_columns(matrix[rows])
        if index:
            ranked = sorted(tried, key=lambda item: -item[1])
            heads = list(dict.fromkeys((c.head, c.c) for c, _ in ranked))[:2]
        for head, c in heads:
            late = context.seconds is not None and time.monotonic() - begun > context.seconds / 3
            if best is not None and late:
                break
            candidate = Candidate(name, head, c)
            scores = _out_of_fold(small, codes[rows], labels, folds, candidate, context.seed)
            accuracy = float((scores.argmax(axis=1) == codes[rows]).mean())
            tried.append((candidate, accuracy))
            if best is None or accuracy > best[0]:
                best = (accuracy, candidate, scores)
    if best is None:
        raise ValueError("a search needs at least one set and one head")
    return Found(best[1], best[0], tuple(tried)), best[2], rows


def _affordable(sets: FeatureSets, labels: int, effort: int) -> int:
    """Return how many rows to search on: about a million filled cells at effort 2, at least 1,000 rows."""
    cells = _cells(sets) / max(next(iter(sets.values())).shape[0], 1)
    return int(max(1_000, 250_000 * 2.0**effort / max(cells, 1.0) / max(labels / 5, 1.0)))


def _ridge_pays(sets: FeatureSets, labels: int, effort: int) -> bool:
    """Return whether ridge is tried: solving label after label, it gets slow where the others do not."""
    return _cells(sets) * labels <= 5e6 * 2.0**effort


def _cells(sets: FeatureSets) -> float:
    matrix = next(iter(sets.values()))
    return float(getattr(matrix, "nnz", matrix.size))


def fit_head(
    sets: FeatureSets, codes: Ints, labels: int, found: Found, scores: Floats, rows: Ints, context: FitContext
) -> LinearHead:
    """Return the winner fitted on all rows, calibrated on scores of rows that its weights had not seen."""
    matrix, seed = sets[found.candidate.features], context.seed
    # C weighs the sum of the losses, so what suits a sample is too weak a restraint for all rows.
    candidate = replace(found.candidate, c=found.candidate.c * min(len(rows) / len(codes), 1.0) ** 0.5)
    if len(rows) < len(codes):
        # A head fitted on few rows is less sure than the final one: calibrate on one fitted on more.
        held = sample(codes, min(len(codes) * 2 // 5, 2_000), seed + 1)
        others = np.setdiff1d(np.arange(len(codes)), held)
        others = others[sample(codes[others], 5_000, seed + 2)]
        weights, bias = fit_weights(matrix[others], codes[others], labels, candidate, seed)
        scores, rows = np.asarray(matrix[held] @ weights + bias), held
    calibration = calibrate(scores, codes[rows], seed)
    weights, bias = fit_weights(matrix, codes, labels, candidate, seed)
    return LinearHead(weights.astype(np.float32), bias.astype(np.float32), calibration)


def fit_weights(
    matrix: Any, codes: Ints, labels: int, candidate: Candidate, seed: int
) -> tuple[Floats, Floats]:
    """Return weights [features, labels] and bias [labels]; a label without rows gets a bias of -10."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.svm import LinearSVC

    present = np.unique(codes)
    weights, bias = np.zeros((matrix.shape[1], labels)), np.full(labels, -10.0)
    if len(present) == 1:
        bias[present] = 0.0
        return weights, bias
    with warnings.catch_warnings():
        # A head that stops early is judged like every other, by its out-of-fold accuracy.
        warnings.simplefilter("ignore")
        if candidate.head == "ridge":
            targets = np.where(codes[:, None] == present, 1.0, -1.0)
            solver = "sparse_cg" if hasattr(matrix, "tocsr") else "auto"
            ridge = Ridge(alpha=1.0 / candidate.c, solver=solver, tol=1e-3).fit(matrix, targets)
            weights[:, present], bias[present] = ridge.coef_.T, ridge.intercept_
            return weights, bias
        if candidate.head == "svc":
            # Measured on 20 newsgroups: beyond these tolerances more passes change no accuracy, only the time.
            tolerance = 1e-3 if len(codes) <= 300 else 0.1 if len(codes) <= 5_000 else 0.3
            model = LinearSVC(C=candidate.c, tol=tolerance, random_state=seed)
        else:
            model = LogisticRegression(C=candidate.c, tol=1e-3, max_iter=300, random_state=seed)
        model.fit(matrix, codes)
    if len(present) == 2:
        # scikit-learn keeps one column for two labels; the other is its mirror.
        weights[:, present] = np.column_stack([-model.coef_[0], model.coef_[0]]) / 2
        bias[present] = [-model.intercept_[0] / 2, model.intercept_[0] / 2]
    else:
        weights[:, present], bias[present] = model.coef_.T, model.intercept_
    return weights, bias


def calibrate(scores: Floats, codes: Ints, seed: int) -> Calibration:
    """Return the calibration with the lower log loss on rows it was not fitted on (two halves, swapped)."""
    plain = _temperature(scores, codes)
    counts = np.bincount(codes, minlength=scores.shape[1])
    if counts.min() < 30 or len(codes) < 200:
        return plain  # Steps through a handful of rows would only remember them.
    halves = stratified_folds(codes, 2, seed)
    losses = {
        fit: np.mean([_log_loss(fit(scores[a], codes[a]).apply(scores[b]), codes[b]) for a, b in halves])
        for fit in (_temperature, _isotonic)
    }
    better = losses[_isotonic] < losses[_temperature]
    return _isotonic(scores, codes) if better else plain


def _temperature(scores: Floats, codes: Ints) -> Calibration:
    """Return the one scale that minimises log loss: golden-section search over its logarithm."""
    low, high = np.log(1e-2), np.log(1e3)
    ratio = (np.sqrt(5.0) - 1) / 2

    def loss(log_scale: float) -> float:
        return _log_loss(Calibration(scale=float(np.exp(log_scale))).apply(scores), codes)

    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    # Rows that are all right would ask for boundless certainty; a pinch of doubt keeps the scale finite.
    return Calibration(scale=float(min(np.exp((low + high) / 2), 100.0)))


def _isotonic(scores: Floats, codes: Ints) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    plain = _temperature(scores, codes)
    raw, knots = plain.apply(scores), []
    for label in range(scores.shape[1]):
        curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
            raw[:, label], codes == label
        )
        knots.append(
            (np.asarray(curve.X_thresholds_, np.float64), np.asarray(curve.y_thresholds_, np.float64))
        )
    return Calibration("isotonic", plain.scale, tuple(knots))


def _log_loss(probabilities: Floats, codes: Ints) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(codes)), codes], 1e-12)).mean())


def _without_empty_columns(matrix: Any) -> Any:
    """Return a sparse sample without the columns it never fills: weights of theirs would only cost time."""
    return matrix[:, np.unique(matrix.indices)] if hasattr(matrix, "tocsr") else matrix


def _out_of_fold(
    matrix: Any, codes: Ints, labels: int, folds: Sequence[tuple[Ints, Ints]], candidate: Candidate, seed: int
) -> Floats:
    scores = np.zeros((len(codes), labels))
    for train, test in folds:
        weights, bias = fit_weights(matrix[train], codes[train], labels, candidate, seed)
        scores[test] = matrix[test] @ weights + bias
    return scores


def sample(codes: Ints, most: int, seed: int) -> Ints:
    """Return at most `most` row numbers, ascending, with every label in its share and at least two rows each."""
    if len(codes) <= most:
        return np.arange(len(codes))
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(codes))
    rank = _rank_in_label(codes[shuffled])
    quota = np.maximum(np.bincount(codes) * most // len(codes), 2)
    return np.sort(shuffled[rank < quota[codes[shuffled]]])


def stratified_folds(codes: Ints, folds: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return (train, test) row numbers of each fold, every label spread as evenly as it goes."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(codes))
    fold_of = np.empty(len(codes), dtype=np.int64)
    # An offset by label keeps single rows of many labels from all landing in the first fold.
    fold_of[shuffled] = (_rank_in_label(codes[shuffled]) + codes[shuffled]) % folds
    return [(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(folds)]


def _rank_in_label(codes: Ints) -> Ints:
    """Return how many rows of the same label stand before each row."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(len(codes), dtype=np.int64)
    rank[order] = np.arange(len(codes)) - begins[codes[order]]
    return rank
