"""Classifier two-sample test: do training rows differ from certification rows and from unlabelled rows?"""

from __future__ import annotations

from typing import Any

from rung.data.profile.finding import Finding
from rung.data.profile.view import View, joined
from rung.training.text.two_sample_test import TwoSampleResult, two_sample_test

KINDS = frozenset({"text"})
TARGETS = False
WHEN = "check"
_MOST = 4_000
# Both comparisons together raise an alarm by chance in one data set of a hundred; and what is told apart must matter.
_ALPHA, _ACCURACY = 0.01 / 2, 0.55


def check(view: View) -> Finding | None:
    """Return which rows a classifier tells from training rows. No target is read; words of five rows or more are shown.

    The evidence are training rows that are told from the other side most clearly. Certification rows are compared as a whole: how many were told apart and a few words is all that leaves them.
    """
    ours = view.texts
    sides: list[dict[str, Any]] = []
    unlike: list[int] = []
    for side, inputs in (
        ("certification", view.certification(_MOST)),
        ("unlabelled", view.unlabelled(_MOST)),
    ):
        told = two_sample_test(ours, joined(inputs, view.text_fields), view.product.seed)
        if told is not None and told.p_value < _ALPHA and told.correct >= _ACCURACY * told.n:
            sides.append(_side(side, told))
            unlike += told.clearest
    if not sides:
        return None
    rows = list(dict.fromkeys(unlike))
    return Finding("sides_differ", "warn", len(rows), len(ours), {"sides": sides}, view.evidence(rows))


def _side(side: str, told: TwoSampleResult) -> dict[str, Any]:
    shown = f"{told.p_value:.2g}" if told.p_value >= 1e-12 else "<1e-12"
    return {
        "side": side,
        "right": told.correct,
        "n": told.n,
        "p": shown,
        "ours": list(told.ours),
        "theirs": list(told.theirs),
    }
