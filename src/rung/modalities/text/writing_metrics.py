"""Metrics of written texts, each with a value a document.

*Bounds.* All are means over documents of values in [0, 1], bounded by betting, or by Clopper-Pearson where a value is 0 or 1:
the share of documents that keep a condition certifies exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

from rung.core.metrics.base import MeanMetric, Metric
from rung.core.types import Prediction
from rung.modalities.text.likeness import chrf, distinct, repetition, rouge_l
from rung.modalities.text.writing_rules import CONDITIONS, WritingRules

CONDITION = "condition:"


class ConditionsMet(MeanMetric):
    """The share of documents that keep every condition, or one of them."""

    def __init__(self, name: str, rules: WritingRules, which: Sequence[str]) -> None:
        """which: names of the conditions."""

        def value(truth: str, answer: Prediction) -> float:
            broken = rules.broken(str(answer.value), int(answer.extra.get("copied_chars", 0)))
            return float(not set(broken) & set(which))

        super().__init__(name, value, binary=True)


class Repetition(MeanMetric):
    """The mean share of runs of four words that stood in the same document before."""

    higher_is_better = False

    def __init__(self, name: str) -> None:
        super().__init__(name, lambda truth, answer: repetition(str(answer.value)))


def writing_metrics(rules: WritingRules) -> list[Metric]:
    """Return the metrics that every trial reports, the default one first."""
    return [
        MeanMetric("chrf", lambda truth, answer: chrf(str(truth), str(answer.value))),
        MeanMetric("rouge_l", lambda truth, answer: rouge_l(str(truth), str(answer.value))),
        ConditionsMet("conditions_met", rules, CONDITIONS),
        MeanMetric("distinct_2", lambda truth, answer: distinct(str(answer.value))),
        Repetition("repetition"),
        MeanMetric("length_fit", lambda truth, answer: length_fit(str(truth), str(answer.value))),
    ]


def length_fit(truth: str, said: str) -> float:
    """Return the shorter length over the longer one, in characters; 1 where both are empty."""
    longest = max(len(truth), len(said))
    return min(len(truth), len(said)) / longest if longest else 1.0
