"""Metrics of sets of labels: by row, by label, and over all pairs of a row and a label.

*Bounds.* One label against the rest is a yes-or-no question, so what holds for a class of a classifier holds for each
label here, however labels depend on each other: given how many rows are truly or predicted of it, the true positives are
binomial (F1 through J, precision given the predicted rows, recall given the true ones). Macro-F1 is the mean of K bounds at
alpha / K: the union bound asks for no independence. Subset accuracy is a proportion of rows, the Hamming loss a mean of
values in [0, 1]. Micro-F1 is a ratio of sums over rows; for a row let t be its true positives and m its misses. The claim
"micro-F1 is at most c" is "the mean of 2 t - c (2 t + m) is at most 0", a claim about the mean of independent values in
[-c K, 2 K (1 - c)], which a betting test refutes with error alpha: `confidence_bounds.ratio_lower`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.core.label_sets import marks_of, set_labels
from rung.core.metrics.base import Answers, MeanMetric, Metric, Truths, seed_of
from rung.core.stats import confidence_bounds
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Prediction, Schema

Floats = npt.NDArray[np.float64]


class SubsetAccuracy(MeanMetric):
    """The share of rows whose set is right as a whole."""

    def __init__(self, name: str) -> None:
        super().__init__(name, lambda truth, answer: float(truth == answer.value), binary=True)


class HammingLoss(MeanMetric):
    """The share of wrong decisions, one a row and label."""

    higher_is_better = False

    def __init__(self, name: str, labels: int) -> None:
        def value(truth: str, answer: Prediction) -> float:
            wrong = set(set_labels(truth)) ^ set(set_labels(str(answer.value)))
            return min(len(wrong) / max(labels, 1), 1.0)

        super().__init__(name, value)


class LabelSetMetric(Metric):
    """A metric of counts: true positives, false positives and false negatives, by row and label."""

    def counts(self, truths: Truths, answers: Answers, schema: Schema) -> tuple[Floats, Floats, Floats]:
        """Return true positives, false positives and false negatives, each [rows, labels] of 0 and 1."""
        true = marks_of([str(truth) for truth in truths], schema.label_set)
        said = marks_of([str(answer.value) for answer in answers], schema.label_set)
        return true * said, (1.0 - true) * said, true * (1.0 - said)

    @abstractmethod
    def of(self, tp: Floats, fp: Floats, fn: Floats) -> float:
        """Return the metric of these rows: [rows, labels] each."""

    @abstractmethod
    def exact(self, tp: Floats, fp: Floats, fn: Floats, alpha: float) -> float:
        """Return the exact lower bound for independent rows."""

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        return self.of(*self.counts(truths, answers, schema))

    def exact_bound(
        self, truths: Truths, answers: Answers, schema: Schema, units: Sequence[str], alpha: float
    ) -> float:
        # By unit: a betting test reads rows in an order that no label could choose.
        order = np.argsort(np.asarray(units), kind="stable")
        tp, fp, fn = (part[order] for part in self.counts(truths, answers, schema))
        return self.exact(tp, fp, fn, alpha)

    def estimated(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        tp, fp, fn = self.counts(truths, answers, schema)

        def resampled(rows: npt.NDArray[np.int64]) -> float:
            return self.of(tp[rows], fp[rows], fn[rows])

        return Bound(confidence_bounds.bootstrap_lower(resampled, units, alpha, seed_of(units)), exact=False)


class MacroSetF1(LabelSetMetric):
    """The mean over labels of F1."""

    def of(self, tp: Floats, fp: Floats, fn: Floats) -> float:
        hits, misses = tp.sum(axis=0), (fp + fn).sum(axis=0)
        return float((2 * hits / np.maximum(2 * hits + misses, 1)).mean()) if len(hits) else 0.0

    def exact(self, tp: Floats, fp: Floats, fn: Floats, alpha: float) -> float:
        counts = list(zip(*(part.sum(axis=0).astype(int).tolist() for part in (tp, fp + fn)), strict=True))
        return confidence_bounds.macro_f1_lower(counts, alpha)


class MicroSetF1(LabelSetMetric):
    """F1 of all decisions together: frequent labels count by their number."""

    def of(self, tp: Floats, fp: Floats, fn: Floats) -> float:
        hits, misses = float(tp.sum()), float(fp.sum() + fn.sum())
        return 2 * hits / max(2 * hits + misses, 1.0)

    def exact(self, tp: Floats, fp: Floats, fn: Floats, alpha: float) -> float:
        labels, hits, misses = float(tp.shape[1]), tp.sum(axis=1), (fp + fn).sum(axis=1)
        # Hits and misses of a row are at most as many as labels together.
        return confidence_bounds.ratio_lower(2 * hits, 2 * hits + misses, labels, 2 * labels, alpha)


class OneLabelMetric(LabelSetMetric):
    """A metric of one label against the rest."""

    def __init__(self, name: str, label: str) -> None:
        super().__init__(name)
        self.label = label

    def counts(self, truths: Truths, answers: Answers, schema: Schema) -> tuple[Floats, Floats, Floats]:
        column = [schema.label_set.index(self.label)]
        tp, fp, fn = super().counts(truths, answers, schema)
        return tp[:, column], fp[:, column], fn[:, column]

    def of(self, tp: Floats, fp: Floats, fn: Floats) -> float:
        hits, rows = self.ratio(int(tp.sum()), int(fp.sum()), int(fn.sum()))
        return self.from_share(hits / max(rows, 1))

    def exact(self, tp: Floats, fp: Floats, fn: Floats, alpha: float) -> float:
        hits, rows = self.ratio(int(tp.sum()), int(fp.sum()), int(fn.sum()))
        return self.from_share(confidence_bounds.proportion_lower(hits, rows, alpha))

    @abstractmethod
    def ratio(self, tp: int, fp: int, fn: int) -> tuple[int, int]:
        """Return the hits, and of how many rows: given that number, hits are binomial."""

    def from_share(self, share: float) -> float:
        """Return the metric of a share of hits, which it grows with."""
        return share


class LabelF1(OneLabelMetric):
    """F1 of one label, written `f1:<label>`."""

    def ratio(self, tp: int, fp: int, fn: int) -> tuple[int, int]:
        return tp, tp + fp + fn

    def from_share(self, share: float) -> float:
        return 2.0 * share / (1.0 + share)


class LabelPrecision(OneLabelMetric):
    """The share of rows given a label that have it, written `precision:<label>`."""

    def ratio(self, tp: int, fp: int, fn: int) -> tuple[int, int]:
        return tp, tp + fp


class LabelRecall(OneLabelMetric):
    """The share of rows with a label that are given it, written `recall:<label>`."""

    def ratio(self, tp: int, fp: int, fn: int) -> tuple[int, int]:
        return tp, tp + fn
