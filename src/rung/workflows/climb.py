"""Climb the ladder: measure rungs, cheapest first, and certify the first that is expected to clear the bar.

Rungs whose prices differ by no more than `budget.indifference_usd_per_1m` count as equally priced. When a rung is about
to be looked at, those priced equally are measured first, and the looks are taken in the order of their scores on
training rows. The choice uses training rows and prices alone, so it is part of what is fixed before a look, and the
argument of `building.certify` holds unchanged.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from rung.building import certify, evaluate
from rung.building.climb_findings import STOPPED, failed_trial, stopping_keys
from rung.core.errors import RunError, RungError
from rung.core.messages import join_sentences, say
from rung.core.metrics.scored import sampling_of
from rung.core.model import Rung
from rung.pages.cautions import cautions
from rung.pages.races import raced_out_text
from rung.serving.subprocess_predict import predict_in_subprocess
from rung.workflows.ahead import Ahead
from rung.workflows.build_setup import BuildSetup, TrialRows
from rung.workflows.metering import metering_of
from rung.workflows.races import Races, Trial
from rung.workflows.rung_fits import clear_scratch
from rung.workflows.second_look import require_better_than_rival, require_better_than_task_rival
from rung.workflows.trial import certification_metering, run_trial

_LIKELY = "likely"
_SHOWN = ("rung", "status", "scores", "usd_per_1k", "fit_seconds", "chance")


@dataclass
class Climb:
    """The trials of a climb, in the order of the ladder; the winner and its certificate, if one was certified.

    raced_out: the rungs that lost a race on a part of the training rows, and how.
    """

    trials: list[dict[str, Any]] = field(default_factory=list)
    raced_out: list[dict[str, Any]] = field(default_factory=list)
    winner: Rung | None = None
    certificate: dict[str, Any] | None = None


def climb(setup: BuildSetup, rungs: Sequence[Rung], rows: TrialRows, all_rungs: bool) -> Climb:
    """Return the trials up to the first certified rung; with all_rungs, every rung's, and none is raced."""
    found, races = Climb(), Races(setup, rows, () if all_rungs else rungs)
    with Ahead(setup, rungs, rows.train, races.is_raced) as ahead:
        _climb(setup, rungs, rows, all_rungs, found, races, ahead)
    if found.winner is None:
        _try_without_rival(setup, rungs, rows, found)
    return found


def _climb(
    setup: BuildSetup,
    rungs: Sequence[Rung],
    rows: TrialRows,
    all_rungs: bool,
    found: Climb,
    races: Races,
    ahead: Ahead,
) -> None:
    """Fill in the trials, in the order of the ladder."""
    race, place = partial(_lost, setup, races, found), 0
    while place < len(rungs):
        rung = rungs[place]
        place += 1
        late = time.time() > setup.deadline
        if found.trials and (late or (found.winner and not all_rungs)):
            why = "the time budget is spent" if late else "a cheaper rung cleared the bar"
            setup.run.event("skipped", rung=rung.name, key="late" if late else "cheaper", why=why)
            continue
        if race(rung, found.trials):
            continue
        ahead.measure_now(rung)
        group = [(rung, _measure(setup, rung, rows, found.trials, wanted=found.winner is None))]
        while group[0][1]["status"] == _LIKELY and place < len(rungs) and time.time() <= setup.deadline:
            if not _equally_priced(setup, rung, rungs[place]):
                break
            before = [*found.trials, *(trial for _, trial in group)]
            if not race(rungs[place], before):
                ahead.measure_now(rungs[place])
                group.append((rungs[place], _measure(setup, rungs[place], rows, before, wanted=True)))
            place += 1
        _settle(setup, group, rows, found)


def _lost(setup: BuildSetup, races: Races, found: Climb, rung: Rung, before: Sequence[Trial]) -> bool:
    """Return whether a rung lost a race and is not measured; how is noted and said."""
    lost = races.lost(rung, before)
    if lost is None:
        return False
    found.raced_out.append(lost)
    setup.run.event("skipped", rung=rung.name, key="raced", why=raced_out_text(lost, "en"), race=lost)
    return True


def _try_without_rival(setup: BuildSetup, rungs: Sequence[Rung], rows: TrialRows, found: Climb) -> None:
    """Measure the rungs that lost a race to a rival which then could not be measured itself."""
    sound = {t["rung"] for t in found.trials if t["status"] != "failed" and not t["differing"]}
    for lost in list(found.raced_out):
        if lost["rival"] in sound or found.winner is not None or time.time() > setup.deadline:
            continue
        found.raced_out.remove(lost)
        rung = next(one for one in rungs if one.name == lost["rung"])
        _settle(setup, [(rung, _measure(setup, rung, rows, found.trials, wanted=True))], rows, found)
    order = {rung.name: place for place, rung in enumerate(rungs)}
    found.trials.sort(key=lambda trial: order[trial["rung"]])


def _settle(
    setup: BuildSetup, group: Sequence[tuple[Rung, dict[str, Any]]], rows: TrialRows, found: Climb
) -> None:
    """Take the looks that a group of equally priced rungs has earned, and note and say its trials."""
    _look_at_best(setup, group, rows, found)
    found.trials += [trial for _, trial in group]
    for _, trial in group:
        if trial["status"] != "failed":
            unused = dict(trial["chosen"].get("left_out") or {})
            setup.run.event("trial", **{key: trial[key] for key in _SHOWN}, columns_unused=unused)


def _equally_priced(setup: BuildSetup, cheapest: Rung, other: Rung) -> bool:
    allowed = setup.product.budget.indifference_usd_per_1m / 1000
    # A floor that clears shows that the bar is wrong; nothing is to be gained above it.
    return (
        allowed > 0
        and cheapest.model != setup.task.floor
        and other.usd_per_1k - cheapest.usd_per_1k <= allowed
    )


def _look_at_best(
    setup: BuildSetup, group: Sequence[tuple[Rung, dict[str, Any]]], rows: TrialRows, found: Climb
) -> None:
    """Look at the rungs of a group that may pass, best score first, until one does; the others are not needed."""
    condition = rows.requirements[0].condition
    sign = 1.0 if condition.higher_is_better else -1.0
    likely = [pair for pair in group if pair[1]["status"] == _LIKELY]
    for rung, trial in sorted(likely, key=lambda pair: -sign * pair[1]["scores"][condition.metric]):
        if found.winner is not None:
            trial["status"] = "outscored"
            continue
        status, proof = _guarded(setup, rung, trial, rows)
        trial["status"] = status
        trial |= _spent_on(setup, rung)
        if status in {"cleared", STOPPED}:
            found.winner, found.certificate = rung, proof


def _measure(
    setup: BuildSetup, rung: Rung, rows: TrialRows, before: Sequence[Trial], wanted: bool
) -> dict[str, Any]:
    """Return the trial of a rung with its status, "likely" where it is to be looked at.

    before: the trials so far. wanted: whether it may still win. A rung that fails is left out with the reason; only the floor and a run folder
    that cannot be written end the build.
    """
    floor, metric = rung.model == setup.task.floor, rows.requirements[0].metric
    leader = evaluate.best(before, metric)
    best = leader["scores"][metric.name] if leader else None
    try:
        # No fit may be cut short where nothing else would answer.
        own = replace(setup, deadline=math.inf) if floor else setup
        require_better_than_rival(setup, rung, rows.train)
        _, facts = setup.run.step(f"trials/{rung.name}", partial(run_trial, own, rung, rows, best))
        require_better_than_task_rival(setup, rung, facts, before)
        clear_scratch(setup, rung)
        # Trials of runs begun before have no chance.
        trial = {"chance": None, "certifiable": None, **facts, "problem": ""}
        trial["status"] = _status(setup, trial, rows) if wanted else "not needed"
        trial |= _spent_on(setup, rung)
        return trial
    except RunError:
        raise
    except Exception as error:
        if floor:
            raise
        return _failed(setup, rung, error)


def _guarded(
    setup: BuildSetup, rung: Rung, trial: dict[str, Any], rows: TrialRows
) -> tuple[str, dict[str, Any] | None]:
    """Return the status of a look and its certificate; a rung that fails in it is left out with the reason."""
    try:
        return _look(setup, rung, trial, rows)
    except RunError:
        raise
    except Exception as error:
        if rung.model == setup.task.floor:
            raise
        trial |= _failed(setup, rung, error)
        return "failed", None


def _failed(setup: BuildSetup, rung: Rung, error: Exception) -> dict[str, Any]:
    problem, fix = (error.problem, error.fix) if isinstance(error, RungError) else (repr(error), "")
    told = {"problem": problem, "fix": fix, "traceback": traceback.format_exc()}
    setup.run.event("failed", rung=rung.name, **told)
    why = f"{problem.rstrip('.')}. {fix}".strip()
    return failed_trial(rung, why) | _spent_on(setup, rung)


def _spent_on(setup: BuildSetup, rung: Rung) -> dict[str, Any]:
    """Return what services answered and charged for a rung, certification included."""
    spending = metering_of(setup, rung).spending()
    return {"calls": spending.calls, "spent_usd": round(spending.usd, 6)}


def _status(setup: BuildSetup, trial: dict[str, Any], rows: TrialRows) -> str:
    """Return the status before any look. "likely": it is to be looked at, as `certify.look` says."""
    requirements = rows.requirements
    trial["over_limits"] = setup.product.limits.broken_by(
        trial["latency_ms"]["p95"], trial["size_mb"], trial["peak_memory_mb"], trial["usd_per_1k"]
    )
    if trial["differing"]:
        return "broken export"
    if not all(r.condition.met_by(trial["scores"][r.metric.name]) for r in requirements):
        return "below bar"
    if trial["over_limits"]:
        return "over limit"
    if not len(rows.certification):
        # Without a certificate asked for, the estimate decides, and nothing is claimed; an unfinished audit is asked for.
        return "not certified" if (setup.data.facts.get("audit") or {}).get("wanted") else _LIKELY
    if setup.product.certify.look == "always":
        return _LIKELY
    # A look that was taken before costs nothing: the bundle gets its certificate again, however worn the rows are.
    known = certify.is_known(
        rows.certification, trial["version"], requirements, setup.product.confidence, setup.lock
    )
    likely = all(r.condition.met_by(b) for r, b in zip(requirements, trial["predicted_bounds"], strict=True))
    return _LIKELY if known or likely else "not certified"


def _look(
    setup: BuildSetup, rung: Rung, trial: dict[str, Any], rows: TrialRows
) -> tuple[str, dict[str, Any] | None]:
    """Return the status after a look at the certification rows, and the certificate if it passed."""
    bundle = setup.run.folder / "trials" / rung.name / "bundle"
    status, proof = take_look(setup, rung, trial, rows, bundle)
    metering_of(setup, rung, "certification").cache.unlink(missing_ok=True)
    return status, proof


def take_look(
    setup: BuildSetup, rung: Rung, trial: Mapping[str, Any], rows: TrialRows, bundle: Path
) -> tuple[str, dict[str, Any] | None]:
    """Return the status after a look at the certification rows for a packed bundle, and the certificate if it passed."""
    certification, requirements = rows.certification, rows.requirements
    if stopping_keys(setup.findings):
        # No look is spent on rows whose inputs know the answer, or whose labels are two spellings of one.
        return STOPPED, None
    if not len(certification):
        return "cleared", None

    def look(folder: Path) -> dict[str, Any]:
        metering = certification_metering(setup, rung, len(certification)) if trial["metered"] else None
        taken = certify.begin_look(
            certification, trial["version"], requirements, setup.product.confidence, setup.lock
        )
        answers = predict_in_subprocess(bundle, certification.records(), metering=metering).answers
        facts = setup.data.facts
        outcome = certify.certify(
            taken, requirements, certification, answers, setup.lock, sampling_of(facts["split"])
        )
        if not outcome.passed:
            return {"certificate": None}
        # Data prepared by version 0.1 has no count of groups.
        new = facts.get("groups", {}).get("new", 0)
        grouped = setup.product.data.group is not None
        population = certify.population_of(facts["split"], setup.task.unit, grouped, new)
        confidence = setup.product.confidence
        return {
            "certificate": certify.certificate(
                outcome, requirements, confidence, population, _assumptions(setup, trial)
            )
        }

    _, facts = setup.run.step(f"looks/{trial['rung']}", look)
    setup.run.event(
        "certificate",
        rung=trial["rung"],
        passed=facts["certificate"] is not None,
        certificate=facts["certificate"],
    )
    return ("cleared", facts["certificate"]) if facts["certificate"] else ("failed certification", None)


def _assumptions(setup: BuildSetup, trial: Mapping[str, Any]) -> str:
    """Return what a certificate assumes: of the model, of rows that people labelled, of related and of respelled rows."""
    audit = setup.data.facts.get("audit")
    return join_sentences(
        "en",
        trial["assumptions"],
        say("label.assumptions", "en", n=audit["cannot_be_told"]) if audit else "",
        *cautions(setup.data.facts, setup.findings, "en"),
    )
