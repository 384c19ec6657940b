"""The gate between a fitted and a packed model: equal answers, or equal scores where answers vary by design.

A model whose answers vary (it samples) cannot be held to equal answers. It is held to equal scores. Both models answer
the same rows, so under the hypothesis that the export changed nothing the two values of a row are exchangeable, and the
mean of their differences has expectation 0. The export counts as broken when the packed model scores worse by more
than three standard errors of that mean: about one sound export in a thousand is then refused, and what is refused costs a
rung, never a false claim, since the certificate is of the packed bundle's own answers. A metric that is no mean over rows
gets its standard error from 200 bootstrap samples of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rung.core.metrics.base import Metric
from rung.core.metrics.scored import ScoredRows, score
from rung.core.task import Task
from rung.core.types import Examples, Prediction

_STANDARD_ERRORS = 3.0
_SAMPLES = 200


def differing(task: Task, fitted: Sequence[Prediction], packed: Sequence[Prediction]) -> int:
    """Return how many answers of the packed model are not those of the fitted one."""
    return sum(not task.same(a, b) for a, b in zip(fitted, packed, strict=True))


def scores_differ(
    metric: Metric, examples: Examples, fitted: Sequence[Prediction], packed: Sequence[Prediction]
) -> bool:
    """Return whether the packed model scores worse than the fitted one by more than chance, on the same rows."""
    before, after = ScoredRows.of(examples, fitted), ScoredRows.of(examples, packed)
    sign = 1.0 if metric.higher_is_better else -1.0
    inputs = examples.inputs if metric.reads_inputs else None
    one, two = (metric.values(rows.truths, rows.answers, inputs) for rows in (before, after))
    if one is not None and two is not None:
        loss = sign * (one - two)
        error = float(loss.std(ddof=1)) / math.sqrt(len(loss)) if len(loss) > 1 else 0.0
        return float(loss.mean()) > _STANDARD_ERRORS * error + 1e-9
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(_SAMPLES):
        places = rng.integers(0, len(examples), len(examples)).tolist()
        drawn.append(sign * (score(metric, before.take(places)) - score(metric, after.take(places))))
    loss_of_all = sign * (score(metric, before) - score(metric, after))
    return loss_of_all > _STANDARD_ERRORS * float(np.std(drawn)) + 1e-9
