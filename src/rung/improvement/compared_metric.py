"""Which metric compares champion and challenger row by row."""

from __future__ import annotations

from rung.core.errors import RungError
from rung.core.metrics.base import MeanMetric
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Schema
from rung.improvement.noninferiority_test import is_comparable


def compared_metric(product: Product, task: Task, schema: Schema) -> str:
    """Return the metric that compares champion and challenger; raises RungError where no metric is suitable."""
    requested = product.improve.metric
    names = (
        [requested]
        if requested
        else [*(item.metric for item in product.bar), *(m.name for m in task.metrics(schema))]
    )
    for name in names:
        if is_comparable(task.metric(name, schema)):
            return name
    fix = "Name one that is a mean over rows with a known range, such as accuracy, brier or expected_cost."
    raise RungError(
        f"answers cannot be compared row by row with {', '.join(dict.fromkeys(names))}", "improve.metric", fix
    )


def mean_metric(task: Task, name: str, schema: Schema) -> MeanMetric:
    """Return the metric of that name, which `compared_metric` chose."""
    found = task.metric(name, schema)
    assert isinstance(found, MeanMetric)  # noqa: S101 - compared_metric() chose it
    return found
