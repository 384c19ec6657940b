"""Race a rung against the best so far on a part of the training rows, before its whole fit is paid for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rung.building import evaluate, race
from rung.building.certify import Requirement
from rung.core.errors import RunError
from rung.core.folds import assign_folds, train_test_rows
from rung.core.metrics import scored
from rung.core.metrics.scored import ScoredRows
from rung.core.model import Rung
from rung.core.types import Examples
from rung.workflows.build_setup import BuildSetup, TrialRows
from rung.workflows.rung_fits import clear_scratch, loaded, reporting
from rung.workflows.trial import held_out_rows

# A rung whose fits are planned to take less is measured at once.
_WORTH_SECONDS = 30.0
Trial = Mapping[str, Any]


class Races:
    """The races of one build, all on the same part of the training rows: what a rung answered there is kept.

    ladder: every rung; () for no races.
    """

    def __init__(self, setup: BuildSetup, rows: TrialRows, ladder: Sequence[Rung]) -> None:
        self._setup, self._rows, self._ladder = setup, rows, ladder
        is_wanted = ladder and setup.product.budget.race
        is_bounded = math.isfinite(race.distance(rows.requirements[0].metric, 0.0))
        self._places = race.part_of(rows.train) if is_wanted and is_bounded else []
        self._answers: dict[tuple[str, bool], ScoredRows] = {}

    def is_raced(self, rung: Rung) -> bool:
        """Return whether a rung may be raced before its trial."""
        return bool(self._places) and _is_worth_it(self._setup, rung, self._rows.train)

    def lost(self, rung: Rung, before: Sequence[Trial]) -> dict[str, Any] | None:
        """Return how a rung lost its race, None where it has a chance or nothing is to be saved by a race.

        before: the trials so far. Races are run against the best measured rung; while only the floor is measured, against
        the rung that is planned to fit fastest, if faster than this one.
        """
        setup = self._setup
        if not self.is_raced(rung):
            return None
        trial = _rival_trial(setup, self._rows, before)
        rival = _rival(setup, rung, trial, self._ladder)
        if rival is None:
            return None
        try:
            _, facts = setup.run.step(f"races/{rung.name}", partial(self._run, (rung, rival), trial))
        except RunError:
            raise
        except Exception:  # Its trial says what is wrong with it.
            return None
        setup.run.event("race", **facts)
        return facts if facts["lost"] else None

    def _run(self, pair: tuple[Rung, Rung], trial: Trial | None, folder: Path) -> dict[str, Any]:
        """Return the race of a rung with its rival. trial: of the rival, where it has one."""
        train, requirement = self._rows.train, self._rows.requirements[0]
        metric, names = requirement.metric, (pair[0].name, pair[1].name)
        answers = self._answered(pair[0]), self._answered(pair[1])
        learnt = len(_held_out(train.take(self._places)).parts[0][0])
        goal = _goal(self._setup, requirement, self._rows, (trial, answers[1]), learnt)
        found = race.judge(metric, names, answers, goal)
        if found.is_lost:
            # A rung that catches up the more rows it learns from may still win.
            half = self._answered(pair[0], halved=True), self._answered(pair[1], halved=True)
            now, error, _ = race.log_ratio(metric, answers)
            doublings = math.log2(len(train) / learnt)
            growth = race.carried_over(now, race.log_ratio(metric, half)[0], error, doublings)
            found = race.judge(metric, names, answers, goal, growth)
        return {**found.as_dict(), "model": pair[0].model, "lost": found.is_lost}

    def _answered(self, rung: Rung, halved: bool = False) -> ScoredRows:
        """Return the answers of a rung to the part, out of fold; halved: learned from half of the rows of each fold."""
        kept = self._answers.get((rung.name, halved))
        if kept is not None:
            return kept
        part, metric = self._rows.train.take(self._places), self._rows.requirements[0].metric
        held = _held_out(part)
        held = _halved(held, part) if halved else held
        named = [
            (f"race-{len(learn)}-{number}", [self._places[row] for row in learn])
            for number, (learn, _) in enumerate(held.parts, 1)
        ]
        with reporting(self._setup, rung):
            models = (model for model, _ in loaded(self._setup, rung, part.schema, named))
            answers = evaluate.scored_rows(evaluate.evaluate(part, held, models), part, metric)
        clear_scratch(self._setup, rung)
        self._answers[rung.name, halved] = answers
        return answers


def _is_worth_it(setup: BuildSetup, rung: Rung, train: Examples) -> bool:
    """Return whether whole fits of a rung are slow enough, and free of charge."""
    planned = rung.planned
    folds = len(held_out_rows(rung, train).parts) if math.isfinite(planned.refit_seconds) else 1
    seconds = planned.fit_seconds + folds * min(planned.refit_seconds, planned.fit_seconds)
    return (
        rung.model not in {setup.task.floor, setup.task.rival}
        and not planned.service_usd_per_1k
        and seconds >= _WORTH_SECONDS
    )


def _rival_trial(setup: BuildSetup, rows: TrialRows, before: Sequence[Trial]) -> Trial | None:
    """Return the best trial so far that is not the floor's and charges nothing."""
    able = [t for t in before if t["model"] != setup.task.floor and not t.get("metered")]
    return evaluate.best(able, rows.requirements[0].metric)


def _rival(setup: BuildSetup, rung: Rung, trial: Trial | None, ladder: Sequence[Rung]) -> Rung | None:
    if trial is not None:
        return next((one for one in ladder if one.name == trial["rung"]), None)
    others = [
        one
        for one in ladder
        if one.model != setup.task.floor
        and not one.planned.service_usd_per_1k
        and one.planned.fit_seconds < rung.planned.fit_seconds
    ]
    return min(others, key=lambda one: (one.planned.fit_seconds, one.name), default=None)


def _goal(
    setup: BuildSetup,
    requirement: Requirement,
    rows: TrialRows,
    rival: tuple[Trial | None, ScoredRows],
    learnt: int,
) -> race.Goal:
    """Return what the rung must reach. rival: its trial, if it has one, and its answers on the part."""
    metric, level = requirement.metric, requirement.condition.level
    trial, answers = rival
    if trial is None:
        on_part = race.distance(metric, scored.mean_over_units(metric, answers))
        # No curve of errors falls faster than the square root of the rows, as a rule.
        fastest = on_part * math.sqrt(learnt / len(rows.train))
        return race.Goal(on_part, race.distance_to_clear(metric, level, 0.0, None), fastest)
    score = trial["scores"][metric.name]
    is_looked_at = len(rows.certification) and setup.product.certify.look == "likely"
    bound = trial["predicted_bounds"][0] if is_looked_at else None
    best = race.distance(metric, score)
    return race.Goal(best, race.distance_to_clear(metric, level, score, bound), best)


def _held_out(part: Examples) -> evaluate.HeldOut:
    """Return what is held out in a race: a third in turn; of rows with a time the latest."""
    if len(set(part.times)) > 1:
        return evaluate.folds(part)
    dealt = assign_folds(3, part.units, [str(target) for target in part.targets])
    split = train_test_rows(dealt, int(dealt.max()) + 1)
    return evaluate.HeldOut(
        [(a.tolist(), b.tolist()) for a, b in split], {"how": "folds", "folds": len(split)}
    )


def _halved(held_out: evaluate.HeldOut, part: Examples) -> evaluate.HeldOut:
    """Return the same rows to score on, and every second unit to learn from, of each label alike."""
    half = assign_folds(2, part.units, [str(target) for target in part.targets])
    parts = [([row for row in learn if half[row] == 0], test) for learn, test in held_out.parts]
    return evaluate.HeldOut(parts, held_out.how)
