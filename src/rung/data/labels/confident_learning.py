"""Find likely label errors by confident learning, from out-of-fold probabilities (Northcutt, Jiang & Chuang
2021).

A row counts as confidently of label j when its probability of j reaches the mean probability of j among rows
labelled j. Rows labelled i and confidently of j estimate how often label i is given where j is right; scaled
to the size of each label, that is the joint distribution of given and right labels. For each (i, j) that many
rows are listed, those first whose probability of j exceeds that of i most ("prune by noise rate").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.core.stats.confidence_bounds import proportion_lower

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Shares of rows, of those predicted as each label, with the highest confidence.
_CONFIDENT_SHARES = (0.25, 0.1, 0.04)
# The label error rate is estimated from at least this many rows, if there are so many.
_MIN_CLEAR_ROWS = 200


@dataclass(frozen=True)
class LabelIssues:
    """rows: likely label errors, most likely first. suggested: suggested label number of each. margin: how
    much more likely the suggested label is than the given one, in [-1, 1].
    """

    rows: Ints
    suggested: Ints
    margin: Floats


@dataclass(frozen=True)
class ErrorRate:
    """Estimated share of label errors, between low and high; see `error_rate` for their meaning."""

    value: float
    low: float
    high: float


def confident_joint(codes: Ints, probabilities: Floats) -> Floats:
    """Return [labels, labels]: the estimated joint distribution of given and right labels; it sums to 1.

    codes: number of the given label. probabilities: [rows, labels], of models that had not seen the row.
    """
    labels = probabilities.shape[1]
    sizes = np.bincount(codes, minlength=labels)
    sums = np.zeros(labels)
    np.add.at(sums, codes, probabilities[np.arange(len(codes)), codes])
    # A label without rows is never reached.
    thresholds = np.where(sizes > 0, sums / np.maximum(sizes, 1), 2.0)
    reached = probabilities >= thresholds - 1e-12
    likeliest = np.where(reached, probabilities, -1.0).argmax(axis=1)
    counts = np.zeros((labels, labels))
    confident = reached.any(axis=1)
    np.add.at(counts, (codes[confident], likeliest[confident]), 1.0)
    # A label without confident rows keeps its own.
    empty = counts.sum(axis=1) == 0
    counts[empty, empty] = 1.0
    joint = counts / counts.sum(axis=1, keepdims=True) * (sizes / max(len(codes), 1))[:, None]
    return np.asarray(joint / max(joint.sum(), 1e-12))


def find_label_issues(codes: Ints, probabilities: Floats) -> LabelIssues:
    """Return the likely label errors, most likely first."""
    joint = confident_joint(codes, probabilities)
    labels = joint.shape[0]
    own = probabilities[np.arange(len(codes)), codes]
    best = np.full(len(codes), -np.inf)
    suggested = codes.copy()
    for given in range(labels):
        rows = np.flatnonzero(codes == given)
        for right in range(labels):
            count = round(float(joint[given, right]) * len(codes))
            if right == given or not count or not len(rows):
                continue
            margin = probabilities[rows, right] - own[rows]
            # A row whose given label is the most likely is not listed, whatever the count says.
            top = np.argsort(-margin, kind="stable")[:count]
            top = top[margin[top] > 0]
            better = top[margin[top] > best[rows[top]]]
            best[rows[better]] = margin[better]
            suggested[rows[better]] = right
    found = np.flatnonzero(np.isfinite(best))
    order = found[np.argsort(-best[found], kind="stable")]
    # The most likely label is suggested, which need not be the one whose count listed the row.
    return LabelIssues(order, probabilities[order].argmax(axis=1), best[order])


def error_rate(codes: Ints, probabilities: Floats, confidence: float = 0.95) -> ErrorRate:
    """Return the estimated share of label errors and an interval for it.

    Labels and predictions alone cannot distinguish a label error from a hard text, so all three numbers rest
    on the assumptions stated here. Let a model that has not seen the row be wrong with probability e, and its
    label with probability r, independently, and let wrong prediction and wrong label coincide less than
    always. They then disagree at least with probability r (1 - e) + e (1 - r) = r + e (1 - 2 r) >= r as long
    as r <= 1/2, with two labels exactly so.

    high: the exact upper bound of the disagreement over all rows: above r with the confidence, whatever e is.
    value: the disagreement in the most confident quarter of the rows of each predicted label (with few rows,
    of more of them). There e is smallest, so that mostly the r of clear texts remains; the confident joint,
    which uses all rows, counted hard texts as label errors: 13 % of Chinese reviews with 5 % planted. low:
    the exact lower bound of the disagreement among the most confident rows. Where these are predicted
    correctly, e = 0, disagreement is label errors alone; and if unclear texts are mislabelled no less often
    than clear ones, the rate over all rows is no lower. Which share is predicted correctly is unknown: the
    least of the bounds at a quarter, a tenth and a twenty-fifth is used, which holds if one of them does.

    Each end errs with probability (1 - confidence) / 2. Planted uniform noise satisfies both assumptions;
    label errors that depend on the text (annotators misled as the model is) violate the first, and then
    nothing here detects them.
    """
    predicted, confidences = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = predicted != codes
    alpha = (1.0 - confidence) / 2.0
    high = 1.0 - proportion_lower(int((~wrong).sum()), len(codes), alpha)
    low = high
    for share in _CONFIDENT_SHARES:
        confident = _most_confident(predicted, confidences, share)
        low = min(low, proportion_lower(int(wrong[confident].sum()), len(confident), alpha))
    clear = _most_confident(
        predicted, confidences, min(max(_CONFIDENT_SHARES[0], _MIN_CLEAR_ROWS / max(len(codes), 1)), 1.0)
    )
    value = float(wrong[clear].mean()) if len(clear) else 0.0
    return ErrorRate(min(max(value, low), high), low, high)


def _most_confident(predicted: Ints, confidences: Floats, share: float) -> Ints:
    """Return this share of the rows of each predicted label, the most confident ones; at least one of each."""
    found = []
    for label in np.unique(predicted):
        rows = np.flatnonzero(predicted == label)
        found.append(rows[np.argsort(-confidences[rows], kind="stable")[: max(int(share * len(rows)), 1)]])
    return np.concatenate([*found, np.zeros(0, np.int64)])
