"""Whether two of the measured rungs make a cascade that lies on the Pareto front of quality and price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rung.building.cascade_offer import Candidate, candidate, offer
from rung.core import registry
from rung.core.errors import RunError
from rung.core.model import Rung
from rung.core.types import Examples
from rung.training.cascade.held_out_answers import read_held_out
from rung.workflows.build_setup import BuildSetup

_FAMILY = "cascade"


def cascade_proposal(
    setup: BuildSetup, rungs: Sequence[Rung], trials: Sequence[Mapping[str, Any]], train: Examples
) -> dict[str, Any]:
    """Return the proposal as report.json has it; {} where none lies on the front, or the product has a cascade already."""
    product = setup.product
    if product.cascade is not None or _FAMILY not in registry.models_for(product.task):
        return {}
    metric = setup.task.metric(product.bar[0].metric, train.schema)

    def propose(folder: Path) -> dict[str, Any]:
        try:
            found = offer(
                _candidates(setup, rungs, trials),
                train,
                metric,
                product.budget.indifference_usd_per_1m / 1000,
            )
        except RunError:
            raise
        except Exception as error:  # The winner stands without a proposal.
            return {"problem": repr(error)}
        return {"found": found}

    _, facts = setup.run.step("cascade", propose)
    return dict(facts.get("found") or {})


def _candidates(
    setup: BuildSetup, rungs: Sequence[Rung], trials: Sequence[Mapping[str, Any]]
) -> list[Candidate]:
    planned = {rung.name: rung for rung in rungs}
    found = []
    for trial in trials:
        kept = read_held_out(setup.run.folder / "trials" / trial["rung"])
        one = candidate(planned[trial["rung"]], trial, kept) if trial["status"] != "failed" else None
        if one is not None:
            found.append(one)
    return found
