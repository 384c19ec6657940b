"""A second look at the winner over a cut in time, for tasks whose rows are not split by time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.activity import doing
from rung.core.errors import RunError
from rung.core.metrics.scored import ScoredRows, mean_over_units
from rung.core.model import Rung
from rung.core.types import Examples
from rung.workflows.build_setup import BuildSetup


def second_look(setup: BuildSetup, rung: Rung, train: Examples, fit_seconds: float) -> dict[str, Any]:
    """Return what a cut in time through the training rows shows, as `time_cut`; {} where the task has none, or no time is left.

    One more fit, on what came before the cut. Certification rows are not read. `when`: day of the cut; `rows`: units asked;
    `scores`: of the task's first two metrics.
    """
    cut = setup.task.time_cut(train)
    if cut is None or time.time() + fit_seconds > setup.deadline:
        return {}
    learn, test, when = cut

    def measure(folder: Path) -> dict[str, Any]:
        try:
            with doing("fit", name=rung.model):
                model = registry.model(rung.model).fit(learn, rung.params, setup.context)
            rows = ScoredRows.of(test, model.predict(test.inputs))
        except RunError:
            raise
        except Exception as error:  # The winner stands without a second look.
            setup.run.event("not_measured", rung=rung.name, what="time_cut", problem=repr(error))
            return {"problem": repr(error)}
        metrics = setup.task.metrics(train.schema)[:2]
        return {"scores": {metric.name: round(mean_over_units(metric, rows), 5) for metric in metrics}}

    _, found = setup.run.step(f"second/{rung.name}", measure)
    return {"time_cut": {"when": when, "rows": len(test), **found}}
