"""Likely wrong labels by confident learning, from out-of-fold probabilities (Northcutt, Jiang & Chuang 2021).

A row counts as confidently of label j when its probability of j reaches the mean probability of j among rows labelled j.
Rows labelled i and confidently of j estimate how often a label i stands where j belongs; scaled to the size of each label,
that is the joint of given and right labels. For each (i, j) that many rows are listed, those first whose probability of j
exceeds that of i the most ("prune by noise rate").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.core.stats.confidence_bounds import proportion_lower

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# The shares of rows, of those predicted to be of each label, that the models are surest of.
_CONFIDENT_SHARES = (0.25, 0.1, 0.04)
# The share of wrong labels is not estimated from fewer rows than this, if there are so many.
_MIN_CLEAR_ROWS = 200


@dataclass(frozen=True)
class LabelIssues:
    """rows: likely wrong, the likeliest first. suggested: the label number of each. margin: by how much the suggested
    label is likelier than the given one, in [-1, 1]."""

    rows: Ints
    suggested: Ints
    margin: Floats


@dataclass(frozen=True)
class ErrorRate:
    """An estimate of the share of wrong labels, between low and high; see `error_rate` for what these mean."""

    value: float
    low: float
    high: float


def confident_joint(codes: Ints, probabilities: Floats) -> Floats:
    """Return [labels, labels]: the estimated share of rows by given label and right label; it sums to 1.

    codes: the given label's number. probabilities: [rows, labels], of models that had not seen the row.
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
    sure = reached.any(axis=1)
    np.add.at(counts, (codes[sure], likeliest[sure]), 1.0)
    # A label none of whose rows are sure keeps itself.
    empty = counts.sum(axis=1) == 0
    counts[empty, empty] = 1.0
    joint = counts / counts.sum(axis=1, keepdims=True) * (sizes / max(len(codes), 1))[:, None]
    return np.asarray(joint / max(joint.sum(), 1e-12))


def find_label_issues(codes: Ints, probabilities: Floats) -> LabelIssues:
    """Return the likely wrong labels, the likeliest first."""
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
            # A row that the models still hold for what it is called is not listed, whatever the count says.
            top = np.argsort(-margin, kind="stable")[:count]
            top = top[margin[top] > 0]
            better = top[margin[top] > best[rows[top]]]
            best[rows[better]] = margin[better]
            suggested[rows[better]] = right
    found = np.flatnonzero(np.isfinite(best))
    order = found[np.argsort(-best[found], kind="stable")]
    # The likeliest label is suggested, which need not be the one whose count brought the row in.
    return LabelIssues(order, probabilities[order].argmax(axis=1), best[order])


def error_rate(codes: Ints, probabilities: Floats, confidence: float = 0.95) -> ErrorRate:
    """Return the estimated share of wrong labels and an interval for it.

    Nothing in labels and predictions alone tells a wrong label from a text that is hard, so all three numbers rest on what
    is said here and no more. Let a model that has not seen the row answer wrongly with probability e, and its label be wrong
    with probability r, independently, the wrong answer and the wrong label meeting by chance in less than all cases. They
    then disagree at least with probability r (1 - e) + e (1 - r) = r + e (1 - 2 r) >= r as long as r <= 1/2, with two labels exactly so.

    high: the exact upper bound of the disagreement over all rows: above r with the confidence, whatever e is.
    value: the disagreement in the quarter of the rows that the models are surest of, of those predicted to be of each
    label (of few rows in more of them). There e is least, so that the r of clear texts is left and a little of e; the confident joint, which sees all rows,
    was seen to count hard texts as wrong labels: 13 % of Chinese reviews with 5 % planted.
    low: the exact lower bound of the disagreement among the rows that the models are surest of. Where these are answered
    rightly, e = 0, disagreement there is wrong labels alone; and if unclear texts are labelled wrongly no less often than
    clear ones, the rate over all rows is no lower. Which share is answered rightly is not known: the least of the bounds
    at a quarter, a tenth and a twenty-fifth is taken, which holds if one of them does.

    Each end errs with probability (1 - confidence) / 2. Planted uniform noise keeps both premises; wrong labels that
    follow the texts' own words (annotators misled as the model is) break the first, and then nothing here sees them.
    """
    answers, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = answers != codes
    alpha = (1.0 - confidence) / 2.0
    high = 1.0 - proportion_lower(int((~wrong).sum()), len(codes), alpha)
    low = high
    for share in _CONFIDENT_SHARES:
        sure = _most_confident(answers, sureness, share)
        low = min(low, proportion_lower(int(wrong[sure].sum()), len(sure), alpha))
    clear = _most_confident(
        answers, sureness, min(max(_CONFIDENT_SHARES[0], _MIN_CLEAR_ROWS / max(len(codes), 1)), 1.0)
    )
    value = float(wrong[clear].mean()) if len(clear) else 0.0
    return ErrorRate(min(max(value, low), high), low, high)


def _most_confident(answers: Ints, sureness: Floats, share: float) -> Ints:
    """Return this share of the rows of each answer, those the models were surest of; of each answer at least one."""
    found = []
    for label in np.unique(answers):
        rows = np.flatnonzero(answers == label)
        found.append(rows[np.argsort(-sureness[rows], kind="stable")[: max(int(share * len(rows)), 1)]])
    return np.concatenate([*found, np.zeros(0, np.int64)])
