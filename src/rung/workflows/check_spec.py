"""Check what a spec names against what there is, all at once and before any data is read or a run folder made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rung.building.ladder import rung_problems
from rung.core.errors import Problem, RungError, SpecError
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.data.labels.overlay import open_overlay
from rung.data.prepare.fingerprint import sources
from rung.data.prepare.prepare import missing_columns


def check_spec(product: Product, task: Task, base: Path) -> None:
    """Raise SpecError naming every metric, rung and column that does not exist; DataError if it is one column alone.

    Metrics of a label (`f1:spam`) and rungs that depend on the data are checked once it is read.
    """
    problems = [
        *_metrics(product, task),
        *_label_cells(product, task),
        *_events(product, task),
        *_writing(product, task),
        *rung_problems(product),
    ]
    labelled = open_overlay(product, base) is not None
    columns = [
        missing
        for source, own in sources(product, base)
        for missing in missing_columns(source, product, task, own, labelled)
    ]
    if not problems and len(columns) == 1:
        raise columns[0][1]
    problems += [
        Problem(0, key, f"{error.where}: {error.problem.partition(' (')[0]}.", error.fix)
        for key, error in columns
    ]
    if problems:
        raise SpecError(problems, "product.yaml")


def _label_cells(product: Product, task: Task) -> Iterator[Problem]:
    """Yield what the spec says of rows with several labels where the task does not use it."""
    taken = {
        "label_columns": task.takes_label_columns,
        "separator": task.schema(product.data.input, []).outputs[0].kind == "labels",
    }
    for key, is_taken in taken.items():
        if getattr(product.data, key) and not is_taken:
            fix = "Leave it out, or use a task of several labels: text_multilabel, image_multilabel, tabular_multilabel, text_extraction, document_reading."
            yield Problem(0, f"data.{key}", f"{task.name} does not use it.", fix)


def _events(product: Product, task: Task) -> Iterator[Problem]:
    """Yield that the spec describes events where the task reads none."""
    if product.recommend is not None and not task.takes_events:
        yield Problem(
            0, "recommend", f"{task.name} does not use it.", "Leave it out, or use the task recommendation."
        )


def _writing(product: Product, task: Task) -> Iterator[Problem]:
    """Yield what the spec says of written texts where the task writes none."""
    fix = "Leave it out, or use the task text_generation."
    if product.writing is not None and not task.takes_writing:
        yield Problem(0, "writing", f"{task.name} does not use it.", fix)
    if product.data.corpus is not None and not task.takes_corpus:
        yield Problem(0, "data.corpus", f"{task.name} does not use it.", fix)


def _metrics(product: Product, task: Task) -> Iterator[Problem]:
    for index, condition in enumerate(product.bar):
        failures = []
        # Some metrics need labels, and some exactly two, which only the data has.
        for labels in ([], ["a", "b"], ["a", "b", "c"]):
            try:
                schema = task.with_writing(task.schema(product.data.input, labels), product.writing)
                # What errors cost stands in the schema once labels are known.
                costs = {"false_negative": 1.0, "false_positive": 1.0} if product.costs else {}
                task.metric(condition.metric, replace(schema, costs={**schema.costs, **costs}))
            except RungError as error:
                failures.append(error)
        if len(failures) == 3 and ":" not in condition.metric:
            key = "bar.metric" if len(product.bar) == 1 else f"bar.{index}.metric"
            yield Problem(0, key, failures[1].problem.rstrip(".") + ".", failures[1].fix)
