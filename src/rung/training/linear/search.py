"""Search and fit a linear head over given features: kind, regularisation, calibration."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.activity import doing
from rung.core.model import FitContext
from rung.runtime.linear.head import LinearHead
from rung.training.linear.calibration import calibrate
from rung.training.linear.feature_matrix import FeatureMatrix, SampledRows
from rung.training.linear.paired_gain import accuracy, is_significant_gain, search_score
from rung.training.linear.ridge import DUAL_ROWS, dual_ridge, ridge
from rung.training.linear.stratified import stratified_folds, stratified_sample

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
HeadKind = Literal["svc", "ridge", "logistic"]
ClassWeight = Literal["auto", "none", "balanced"]
Heads = Sequence[tuple[HeadKind, float]]
FeatureSets = Mapping[str, FeatureMatrix]
Folds = Sequence[tuple[Ints, Ints]]
# Rows for a search among ridges only, by effort: they share one Gram matrix, however many labels.
_RIDGE_ROWS = {0: 1_000, 1: 2_000, 2: 3_000, 3: DUAL_ROWS, 4: DUAL_ROWS, 5: DUAL_ROWS}
# Rows on which balanced row weights are compared with equal ones.
_MAX_BALANCE_ROWS = 5_000
# Standard errors of the paired difference beyond which a candidate is behind another.
_BEHIND = 2.5


@dataclass(frozen=True)
class HeadCandidate:
    """One configuration: feature set, head, regularisation strength (C; 1/alpha for ridge).

    balanced: rows are weighted so that all labels have the same total weight.
    """

    features: str
    head: HeadKind
    c: float
    balanced: bool = False


@dataclass(frozen=True)
class SearchResult:
    """The winner of a search with its cross-validated accuracy, and the accuracy of every candidate.

    scores: out-of-fold scores of the winner [sampled rows, labels]. rows: the sampled rows.
    calibration_scores: such scores and rows of heads fitted later, on more rows, to calibrate on instead.
    gram: the winner's features with their Gram matrix, where all rows were sampled and it was computed.
    """

    candidate: HeadCandidate
    accuracy: float
    results: tuple[tuple[HeadCandidate, float], ...]
    scores: Floats
    rows: Ints
    calibration_scores: tuple[Floats, Ints] | None = None
    gram: tuple[FeatureMatrix, Floats] | None = None


def head_grid(effort: int, dense: bool = False) -> list[tuple[HeadKind, float]]:
    """Return the (head, C) pairs to try at an effort of 0 to 5, most promising first.

    dense: for embeddings of length 1, which vary little and need ten times the C of sparse n-grams.
    """
    strengths: dict[int, tuple[float, ...]] = {0: (1.0,), 1: (1.0, 0.3), 2: (1.0, 0.3, 3.0)}
    cs = strengths.get(effort, (1.0, 0.1, 0.3, 3.0, 10.0))
    if dense:
        cs = tuple(10.0 * c for c in cs)
    heads: list[HeadKind] = ["svc"] if effort < 2 else ["svc", "ridge"]
    if dense:
        heads = ["ridge"] if effort < 2 else ["ridge", "logistic"]
    found = [(head, c) for head in heads for c in cs]
    if effort >= 3 and not dense:
        found += [("logistic", c) for c in (3.0, 10.0, 30.0)]
    return found


def candidate_heads(
    head: str, c: float | None, effort: int, dense: bool = False, c_divisor: float = 1.0
) -> list[tuple[HeadKind, float]]:
    """Return the grid of an effort, restricted to the head and the C that were set by hand.

    c_divisor: the C values are divided by it, for rows longer than 1. Ridge's C, a ratio of noise to weights,
    is not.
    """
    found = [
        (kind, strength if kind == "ridge" else strength / c_divisor)
        for kind, strength in head_grid(effort, dense)
    ]
    if head != "auto":
        kinds: dict[str, HeadKind] = {"svc": "svc", "ridge": "ridge", "logistic": "logistic"}
        found = [pair for pair in found if pair[0] == head] or [(kinds[head], 10.0 if dense else 1.0)]
    if c is not None:
        found = [(kind, c) for kind, _ in found]
    return list(dict.fromkeys(found))


def search(
    sets: FeatureSets,
    codes: Ints,
    labels: int,
    heads: Heads,
    context: FitContext,
    class_weight: ClassWeight = "auto",
) -> SearchResult:
    """Return the best candidate by out-of-fold accuracy.

    sets: cheapest first. codes: label number of each row. All heads are tried on the first set, the two best
    of them on the others: which head wins hardly depends on the features. A sample of rows is used, sized by
    the cost of a fit. class_weight: "auto" balances labels where the bar is about F1, labels are imbalanced,
    and it gains on the sampled rows.
    """
    first = next(iter(sets.values()))
    affordable = affordable_rows(first, labels, context.effort)
    if all(head == "ridge" for head, _ in heads):
        affordable = max(affordable, _RIDGE_ROWS[context.effort])
    rows = stratified_sample(codes, affordable, context.seed)
    folds = stratified_folds(codes[rows], 3 if context.effort < 4 else 5, context.seed)
    begun, sampled = time.monotonic(), SampledRows(rows)
    results: list[tuple[HeadCandidate, float]] = []
    answers: dict[HeadCandidate, npt.NDArray[np.bool_]] = {}
    best: tuple[float, HeadCandidate, Floats] | None = None
    gram: tuple[FeatureMatrix, Floats] | None = None
    for index, (name, matrix) in enumerate(sets.items()):
        score = _OutOfFoldScorer(matrix, sampled, codes[rows], labels, folds, context.seed)
        if index:
            ranked = sorted(results, key=lambda item: -item[1])
            heads = list(dict.fromkeys((c.head, c.c) for c, _ in ranked))[:2]
        for head, c in heads:
            late = context.seconds is not None and time.monotonic() - begun > context.seconds / 3
            if best is not None and late:
                break
            candidate = HeadCandidate(name, head, c, class_weight == "balanced")
            if _cannot_win(candidate, answers):
                continue
            with doing("search", name=f"{name}, {head}, C {c:g}"):
                scores = score(candidate)
            answers[candidate] = scores.argmax(axis=1) == codes[rows]
            right = float(answers[candidate].mean())
            results.append((candidate, right))
            if best is None or right > best[0]:
                best = (right, candidate, scores)
                is_whole = len(rows) == len(codes) and score.gram is not None
                gram = (matrix, score.gram) if is_whole and score.gram is not None else None
    if best is None:
        raise ValueError("a search needs at least one set and one head")
    found = SearchResult(best[1], best[0], tuple(results), best[2], rows, gram=gram)
    skewed = np.bincount(codes, minlength=labels).min() * labels < 0.5 * len(codes)
    if class_weight != "auto" or search_score(context.goal) is accuracy or not skewed:
        return found
    return _balance_if_better(found, sets[found.candidate.features], codes, labels, context)


def _cannot_win(candidate: HeadCandidate, tried: Mapping[HeadCandidate, npt.NDArray[np.bool_]]) -> bool:
    """Return whether the candidates tried on the same features leave a candidate no chance, so that it is not fitted.

    Accuracy has one peak in C: beyond a strength that was worse than the one before it, it only falls. And a head whose
    strengths so far are behind the best head is given up. Both only beyond noise, and not for ridges, which are solved at
    once. tried: which sampled rows each candidate predicted correctly.
    """
    here = {one: right for one, right in tried.items() if one.features == candidate.features}
    own = {one.c: right for one, right in here.items() if one.head == candidate.head}
    if not own or candidate.head == "ridge":
        return False
    peak = max(own, key=lambda c: (float(own[c].mean()), -abs(np.log(c / candidate.c))))
    low, high = sorted((peak, candidate.c))
    if any(low < c < high and _is_behind(own[c], own[peak]) for c in own):
        return True
    best = max(here.values(), key=lambda right: float(right.mean()))
    return _is_behind(own[peak], best)


def _is_behind(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> bool:
    """Return whether one has fewer rows right than another, beyond the noise of the paired difference."""
    behind = other.astype(np.float64) - one
    return bool(behind.mean() > _BEHIND * behind.std() / np.sqrt(len(behind)))


def _balance_if_better(
    found: SearchResult, matrix: FeatureMatrix, codes: Ints, labels: int, context: FitContext
) -> SearchResult:
    """Return the winner with balanced row weights, if that gains on the bar's metric; else unchanged.

    More rows are used than for the search: the few rows of rare labels are all the evidence.
    """
    rows = stratified_sample(codes, max(len(found.rows), _MAX_BALANCE_ROWS), context.seed)
    folds = stratified_folds(codes[rows], 3, context.seed)
    score = _OutOfFoldScorer(matrix, SampledRows(rows), codes[rows], labels, folds, context.seed)
    balanced = replace(found.candidate, balanced=True)
    before, after = score(found.candidate), score(balanced)
    right = float((after.argmax(axis=1) == codes[rows]).mean())
    results = (*found.results, (balanced, right))
    answers = before.argmax(axis=1), after.argmax(axis=1)
    if not is_significant_gain(codes[rows], *answers, labels, search_score(context.goal), context.seed):
        return replace(found, results=results)
    return SearchResult(balanced, right, results, after, rows)


def out_of_fold_scores(
    tries: Sequence[tuple[FeatureMatrix, Sequence[HeadCandidate]]],
    codes: Ints,
    labels: int,
    rows: Ints,
    seed: int,
) -> list[list[Floats]]:
    """Return, for each set and each of its candidates, three-fold out-of-fold scores [rows, labels] of these
    rows.
    """
    folds, sampled = stratified_folds(codes[rows], 3, seed), SampledRows(rows)
    found = []
    for matrix, candidates in tries:
        score = _OutOfFoldScorer(matrix, sampled, codes[rows], labels, folds, seed)
        found.append([score(candidate) for candidate in candidates])
    return found


def search_summary(found: SearchResult, head: LinearHead) -> dict[str, Any]:
    """Return what the search chose, for report and card."""
    shown = round(found.accuracy, 4)
    return {**asdict(found.candidate), "calibration": head.calibration.kind, "search_accuracy": shown}


def fit_head(
    matrix: FeatureMatrix,
    codes: Ints,
    labels: int,
    found: SearchResult,
    context: FitContext,
    last: tuple[FeatureMatrix, Ints] | None = None,
) -> LinearHead:
    """Return the winner fitted on all rows, calibrated on held-out scores.

    last: features and codes for the final fit, where augmented rows are added; calibration uses real rows
    only.
    """
    seed, scores, rows = context.seed, found.scores, found.rows
    # C weights the sum of the losses. For n-grams, whose number grows with the rows, the best value on a
    # sample regularises all rows too weakly; an embedding's width is fixed. Ridge's C is a ratio of noise to
    # weights, which does not depend on the rows.
    same = matrix.is_dense or found.candidate.head == "ridge"
    share = 1.0 if same else min(len(rows) / len(codes), 1.0)
    candidate = replace(found.candidate, c=found.candidate.c * share**0.5)
    if found.calibration_scores is not None:
        scores, rows = found.calibration_scores
    elif len(rows) < len(codes):
        # A head fitted on few rows is less confident than the final one: calibrate on one fitted on more.
        held = stratified_sample(codes, min(len(codes) * 2 // 5, 2_000), seed + 1)
        others = np.setdiff1d(np.arange(len(codes)), held)
        others = others[stratified_sample(codes[others], 5_000, seed + 2)]
        weights, bias = fit_weights(matrix.take(others), codes[others], labels, candidate, seed)
        scores, rows = matrix.take(held).dot(weights) + bias, held
    # Isotonic curves would restore the label shares, and with them the predictions that balancing was to
    # change.
    calibration = calibrate(scores, codes[rows], seed, allow_isotonic=not candidate.balanced)
    if last is None and found.gram is not None and found.gram[0] is matrix:
        weights, bias = fit_weights(matrix, codes, labels, candidate, seed, found.gram[1])
    else:
        weights, bias = fit_weights(*(last or (matrix, codes)), labels, candidate, seed)
    return LinearHead(weights.astype(np.float32), bias.astype(np.float32), calibration)


def search_and_fit(
    sets: FeatureSets, codes: Ints, labels: int, heads: Heads, context: FitContext
) -> tuple[str, LinearHead, dict[str, Any]]:
    """Return the name of the best feature set, the head fitted on it, and what the search chose."""
    found = search(sets, codes, labels, heads, context)
    name = found.candidate.features
    head = fit_head(sets[name], codes, labels, found, context)
    return name, head, search_summary(found, head)


def fit_weights(
    matrix: FeatureMatrix,
    codes: Ints,
    labels: int,
    candidate: HeadCandidate,
    seed: int,
    gram: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return weights [features, labels] and bias [labels]; labels without rows get a bias of -10.

    gram: the Gram matrix of the rows, where it is known.
    """
    present = np.unique(codes)
    weights, bias = np.zeros((matrix.shape[1], labels)), np.full(labels, -10.0)
    if len(present) == 1:
        bias[present] = 0.0
        return weights, bias
    if candidate.head == "ridge":
        targets = np.where(codes[:, None] == present, 1.0, -1.0)
        by_row = balanced_row_weights(codes) if candidate.balanced else None
        weights[:, present], bias[present] = ridge(matrix, targets, 1.0 / candidate.c, by_row, gram)
        return weights, bias
    coefficients, intercepts = _fit_sklearn(matrix, codes, candidate, seed)
    weights[:, present], bias[present] = per_label(coefficients, intercepts)
    return weights, bias


def per_label(coefficients: Floats, intercepts: Floats) -> tuple[Floats, Floats]:
    """Return scikit-learn's coefficients as weights [features, labels] and bias [labels].

    scikit-learn keeps one row for two labels; the other is its negative.
    """
    if len(coefficients) > 1:
        return coefficients.T, intercepts
    weights, bias = coefficients[0] / 2, float(intercepts[0]) / 2
    return np.column_stack([-weights, weights]), np.array([-bias, bias])


def _fit_sklearn(
    matrix: FeatureMatrix, codes: Ints, candidate: HeadCandidate, seed: int
) -> tuple[Floats, Floats]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    by_label = "balanced" if candidate.balanced else None
    if candidate.head == "svc":
        # Measured on 20 newsgroups: tighter tolerances cost time and change no accuracy.
        tolerance = 1e-3 if len(codes) <= 300 else 0.1 if len(codes) <= 5_000 else 0.3
        model = LinearSVC(C=candidate.c, tol=tolerance, random_state=seed, class_weight=by_label)
    else:
        # The gradient of the mean loss is tiny on vectors of length 1: a coarser tolerance stops before
        # anything is learned.
        model = LogisticRegression(
            C=candidate.c, tol=1e-5, max_iter=300, random_state=seed, class_weight=by_label
        )
    with warnings.catch_warnings():
        # A head that does not converge is judged like any other, by its out-of-fold accuracy.
        warnings.simplefilter("ignore")
        model.fit(matrix.joined(), codes)
    return model.coef_, model.intercept_


def balanced_row_weights(codes: Ints) -> Floats:
    """Return a weight for each row, 1 on average, so that all labels have the same total weight."""
    counts = np.bincount(codes)
    return len(codes) / (np.count_nonzero(counts) * counts[codes].astype(np.float64))


class _OutOfFoldScorer:
    """Called with a candidate, returns out-of-fold scores [rows, labels]; ridges share one Gram matrix.

    whole: a feature set of all rows. codes, folds: of the sampled rows.
    """

    def __init__(
        self, whole: FeatureMatrix, sampled: SampledRows, codes: Ints, labels: int, folds: Folds, seed: int
    ) -> None:
        self._whole, self._sampled = whole, sampled
        self._codes, self._labels, self._folds, self._seed = codes, labels, folds, seed
        self.gram: Floats | None = None

    def __call__(self, candidate: HeadCandidate) -> Floats:
        small = candidate.head == "ridge" and len(self._codes) <= DUAL_ROWS
        return self._by_gram(candidate) if small else self._by_fit(candidate)

    def _by_fit(self, candidate: HeadCandidate) -> Floats:
        codes, scores = self._codes, np.zeros((len(self._codes), self._labels))
        matrix = self._sampled.take(self._whole)
        for train, test in self._folds:
            weights, bias = fit_weights(matrix.take(train), codes[train], self._labels, candidate, self._seed)
            scores[test] = matrix.take(test).dot(weights) + bias
        return scores

    def _by_gram(self, candidate: HeadCandidate) -> Floats:
        if self.gram is None:
            self.gram = self._sampled.gram(self._whole)
        codes, gram = self._codes, self.gram
        scores = np.full((len(codes), self._labels), -10.0)
        for train, test in self._folds:
            present = np.unique(codes[train])
            targets = np.where(codes[train][:, None] == present, 1.0, -1.0)
            by_row = balanced_row_weights(codes[train]) if candidate.balanced else None
            dual, bias = dual_ridge(gram[np.ix_(train, train)], targets, 1.0 / candidate.c, by_row)
            scores[np.ix_(test, present)] = gram[np.ix_(test, train)] @ dual + bias
        return scores


def affordable_rows(matrix: FeatureMatrix, labels: int, effort: int) -> int:
    """Return how many rows to search on: about a million nonzero values at effort 2, at least 1,000 rows."""
    cells = matrix.cells / max(matrix.shape[0], 1)
    return int(max(1_000, 250_000 * 2.0**effort / max(cells, 1.0) / max(labels / 5, 0.4)))


def encode_labels(targets: Sequence[Any], labels: Sequence[str]) -> Ints:
    """Return the label number of each target."""
    number = {label: i for i, label in enumerate(labels)}
    return np.array([number[target] for target in targets], dtype=np.int64)
