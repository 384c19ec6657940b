"""Looks over a cut in time, for tasks whose rows are not split by time: at the winner, and at rungs that must beat another."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.activity import doing
from rung.core.errors import RunError, RungError
from rung.core.metrics.scored import ScoredRows, mean_over_units
from rung.core.model import Rung
from rung.core.params import make_params
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


def require_better_than_rival(setup: BuildSetup, rung: Rung, train: Examples) -> None:
    """Raise RungError where a family that names a rival does not beat it, both fitted on what came before the cut in time.

    Training rows alone are read. Without times there is no cut, and nothing is asked. The rival has its defaults.
    """
    rival = registry.model(rung.model).RIVAL
    cut = setup.task.time_cut(train) if rival else None
    if cut is None:
        return
    metric = setup.task.metrics(train.schema)[0]

    def score_of(name: str, family: str, params: Any) -> float:
        def measure(folder: Path) -> dict[str, Any]:
            with doing("fit", name=family):
                model = registry.model(family).fit(cut[0], params, setup.context)
            return {"score": mean_over_units(metric, ScoredRows.of(cut[1], model.predict(cut[1].inputs)))}

        return float(setup.run.step(f"rivals/{name}", measure)[1]["score"])

    least = score_of(rival, rival, make_params(registry.model(rival).Params, {}))
    if time.time() > setup.deadline:
        raise RungError(
            f"no time is left to hold it against {rival}", fix="Give the build more `budget.minutes`."
        )
    own = score_of(rung.name, rung.model, rung.params)
    setup.run.event(
        "rival", rung=rung.name, rival=rival, metric=metric.name, own=own, least=least, rows=len(cut[1])
    )
    if own <= least:
        fix = "More users and longer histories are what such a network needs; the cheaper rung stays."
        raise RungError(
            f"on the cut in time ({cut[2]}) it does not beat {rival}: {metric.name} {own:.4f} against {least:.4f}",
            fix=fix,
        )


def require_better_than_task_rival(
    setup: BuildSetup, rung: Rung, trial: Mapping[str, Any], before: Sequence[Mapping[str, Any]]
) -> None:
    """Raise RungError where a rung does not beat the rival that its task names, both scored on training rows held out.

    By the bar's first metric among the task's first two, which say how good an answer is, else by the default one. The floor and
    the rival itself are asked nothing; `building.ladder` sees to it that the rival stands before all others.
    """
    rival = setup.task.rival
    if not rival or rung.model in {rival, setup.task.floor}:
        return
    other = next((one for one in before if one["model"] == rival and one["scores"]), None)
    if other is None:
        raise RungError(
            f"it cannot be held against {rival}, which was not measured", fix=f"See why {rival} failed."
        )
    metrics = {metric.name: metric for metric in setup.task.metrics(setup.data.schema)[:2]}
    name = next((c.metric for c in setup.product.bar if c.metric in metrics), setup.task.default_metric)
    own, least = float(trial["scores"][name]), float(other["scores"][name])
    setup.run.event("rival", rung=rung.name, rival=rival, metric=name, own=own, least=least)
    if own <= least:
        raise RungError(
            f"on prompts held out it does not beat {rival}: {name} {own:.4f} against {least:.4f}",
            fix="More rows, or a larger model, may; the cheaper rung stays.",
        )
