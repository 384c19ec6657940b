"""The trial of one rung: scored on held-out rows, fitted on all, packed, loaded in a fresh process, measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

from rung.building import certify, diagnostics, drift_reference, evaluate, export_gate, pack
from rung.building.explain import Explanations
from rung.building.importance import Importance
from rung.core import registry
from rung.core.activity import doing
from rung.core.errors import RunError
from rung.core.folds import ONE_PART_SECONDS
from rung.core.manifest import LEARNED_UNTIL
from rung.core.messages import join_sentences
from rung.core.metrics.base import Metric
from rung.core.metrics.scored import sampling_of
from rung.core.model import Fitted, Model, Rung
from rung.core.types import Examples, Prediction
from rung.runtime.service.ledger import Ledger, Spending
from rung.runtime.service.metered import MeteredModel, Metering
from rung.serving.architecture import bundle_parts
from rung.serving.subprocess_predict import SubprocessResult, predict_in_subprocess
from rung.training.cascade.held_out_answers import save_held_out
from rung.workflows.build_setup import BuildSetup, TrialRows
from rung.workflows.metering import SPENT, metering_of
from rung.workflows.rung_fits import clear_scratch, fits, fold_names, loaded, reporting
from rung.workflows.second_look import second_look

# Rows of the training set that time the packed bundle and hold it against the fitted model: as many as are planned to
# take so many seconds, within these bounds.
_FEWEST_GATE_ROWS, _GATE_ROWS, _GATE_SECONDS = 100, 300, 2.0
_VARIES = (
    "The model's answers vary: each row was answered once, and the claim is of answers drawn as those were."
)
# "Could be certified today" means with this chance.
LIKELY_CHANCE = 0.8
# A report draws networks of up to so many layers.
_MOST_LAYERS = 400
# Of a rung that charges, the self-test takes no more than this share of the training rows.
_CHARGED_SELFTEST = 20


@dataclass(frozen=True)
class _Scored:
    """A rung scored on held-out rows, and what the packed bundle is then asked.

    metering: of a rung that charges, else None. selftest, gate: places of training rows.
    """

    evaluation: evaluate.Evaluation
    metering: Metering | None
    selftest: Sequence[int]
    gate: Sequence[int]
    why: Explanations
    importance: Importance


def run_trial(
    setup: BuildSetup, rung: Rung, rows: TrialRows, best: float | None, folder: Path
) -> dict[str, Any]:
    """Return the trial of one rung; its packed bundle lies in the folder.

    best: the best score so far of the bar's first metric. A rung below it that misses the bar cannot ship: its answers are
    not explained.
    """
    train, metric = rows.train, rows.requirements[0].metric
    with reporting(setup, rung):
        scored = _scored(setup, rung, rows, best)
        asked = sorted({*scored.selftest, *scored.gate})
        (fitted,) = fits(setup, rung, [("all", None)], asked, scored.metering)
    answer = dict(zip(asked, fitted.answers, strict=True))
    save_held_out(scored.evaluation.rows, scored.evaluation.answers, train.schema, folder)
    bundle = folder / "bundle"
    drift_reference.place(bundle, setup.run.folder / "reference", train.schema, scored.evaluation)
    shown = {key: setup.data.facts[key] for key in ("rows", "train", "certification")}
    if setup.learned_until is not None:
        shown[LEARNED_UNTIL] = setup.learned_until
    manifest = pack.pack(
        bundle, setup.product, setup.task, (rung.name, rung.model), fitted,
        (train.take(scored.selftest), [answer[place] for place in scored.selftest]),
        shown | {"fingerprint": setup.fingerprint},
    )  # fmt: skip
    gate_rows = train.take(scored.gate)
    fresh = predict_in_subprocess(bundle, gate_rows.records(), measure=True, metering=scored.metering)
    varies = is_stochastic(setup, rung, fitted)
    pairs = [answer[place] for place in scored.gate], fresh.answers
    return {
        "rung": rung.name,
        "model": rung.model,
        "is_floor": rung.model == setup.task.floor,
        "version": manifest.version,
        **quality(setup, rows, scored.evaluation),
        **_looks(setup, rung, rows, scored.evaluation),
        "fit_seconds": round(fitted.seconds, 3),
        **measured(setup, rung, fresh, scored.evaluation.answers),
        "size_mb": pack.size_mb(bundle),
        "differing": differing(setup, gate_rows, pairs, metric if varies else None),
        "metered": scored.metering is not None,
        "chosen": dict(fitted.chosen),
        "training": dict(fitted.training),
        "why": scored.why.as_dict(),
        "importance": scored.importance.as_dict(),
        "over_limits": [],
        "assumptions": join_sentences("en", fitted.assumptions, _VARIES if varies else ""),
    }


def _scored(setup: BuildSetup, rung: Rung, rows: TrialRows, best: float | None) -> _Scored:
    """Return the answers of a rung on held-out rows: each row of one that charges is asked once."""
    train, each = rows.train, rung.planned.cpu_seconds_per_1k / 1000
    held_out, metering = held_out_rows(rung, train), metering_of(setup, rung)
    charge = rung.planned.service_usd_per_1k / 1000
    if not metering.answered():
        held = sum(len(test) for _, test in held_out.parts)
        metering.require(charge * (held + len(rows.certification)))
    why = Explanations(each, len(held_out.parts))
    importance = Importance(rows.requirements[0].metric, each)
    models = loaded(setup, rung, train.schema, fold_names(held_out.parts))
    first, folder = next(models)
    # Packed examples ship with the bundle, so they are the product's own rows, never rows that people sent to a server.
    own = own_rows(setup, train)
    selftest = [own[place] for place in pack.selftest_places(len(own))]
    fewer = max(min(len(selftest), len(train) // _CHARGED_SELFTEST), 1)
    charged = [own[place] for place in pack.selftest_places(len(own), fewer)]
    ours = evaluate.without(held_out, charged)
    probe = train.take(ours.parts[0][1][:1])
    is_metered, pairs = metering.applies_to(first, folder, probe.inputs), chain([(first, folder)], models)
    del first  # Its memory is free once it was asked.
    if is_metered:
        metering = replace(metering, is_metered=True)
        # The self-test is left to the packed model, so that no row is asked of two models.
        asked = (MeteredModel(model, place, metering) for model, place in pairs)
        evaluation = evaluate.evaluate(train, ours, asked)
        return _Scored(random_rows(setup, evaluation), metering, charged, charged, why, importance)
    folders: list[Path] = []
    evaluation = evaluate.evaluate(train, held_out, _noting(pairs, folders))
    if _may_ship(evaluation, rows, best):
        family, answers = (
            registry.model(rung.model),
            dict(zip(evaluation.rows, evaluation.answers, strict=True)),
        )
        for place, (_, test) in zip(folders, held_out.parts, strict=True):
            model = family.load(place, train.schema)
            with doing("explain"):
                for look in (why, importance):
                    look(model, train.take(test), [answers[row] for row in test])
    return _Scored(
        random_rows(setup, evaluation), None, selftest, gate_places(len(train), each), why, importance
    )


def _noting(pairs: Iterable[tuple[Model, Path]], folders: list[Path]) -> Iterator[Model]:
    """Yield the models, and note the folder of each."""
    for model, folder in pairs:
        folders.append(folder)
        yield model


def _may_ship(evaluation: evaluate.Evaluation, rows: TrialRows, best: float | None) -> bool:
    """Return whether a rung meets the bar on held-out rows, or is at least as good as the best so far."""
    found = [evaluate.scores(evaluation, [r.metric], rows.train)[r.metric.name] for r in rows.requirements]
    if best is None or all(r.condition.met_by(s) for r, s in zip(rows.requirements, found, strict=True)):
        return True
    return found[0] >= best if rows.requirements[0].metric.higher_is_better else found[0] <= best


def random_rows(setup: BuildSetup, evaluation: evaluate.Evaluation) -> evaluate.Evaluation:
    """Return the answers on the random rows alone, where people label others too."""
    audit = setup.data.facts.get("audit")
    return evaluate.among(evaluation, audit["random_units"]) if audit else evaluation


def certification_metering(setup: BuildSetup, rung: Rung, rows: int) -> Metering:
    """Return where the answers to so many certification rows are kept until their look is settled.

    Raises BudgetSpentError before the look is taken when the budget has no room for all of them.
    """
    charge = metering_of(setup, rung).expected_usd()
    metering = replace(metering_of(setup, rung, "certification"), planned_usd=charge, is_metered=True)
    metering.require(charge * (rows - metering.answered()))
    return metering


def spent(setup: BuildSetup) -> Spending:
    """Return what services have charged in this build, and for how many answers."""
    return Ledger(setup.run.folder / SPENT, setup.product.budget.usd, "").total()


def is_stochastic(setup: BuildSetup, rung: Rung, fitted: Fitted) -> bool:
    """Return whether the task, the model or one it asks may answer a row in two ways."""
    families = (rung.model, *fitted.children)
    return setup.task.is_stochastic or any(registry.model(name).is_stochastic for name in families)


def differing(
    setup: BuildSetup,
    rows: Examples,
    answers: tuple[Sequence[Prediction], Sequence[Prediction]],
    metric: Metric | None,
) -> int:
    """Return how many answers of the packed model are not the fitted one's; all of them where only scores can tell.

    answers: of the fitted and of the packed model. metric: by which they are held to each other where they vary.
    """
    fitted, packed = answers
    if metric is None:
        return export_gate.differing(setup.task, fitted, packed)
    return len(rows) if export_gate.scores_differ(metric, rows, fitted, packed) else 0


def study(setup: BuildSetup, rung: Rung, trial: Mapping[str, Any], rows: TrialRows) -> dict[str, Any]:
    """Return what the report shows of the winner beyond its scores; the learning curve is a few small fits."""
    train, metric = rows.train, rows.requirements[0].metric

    def curve(folder: Path) -> dict[str, Any]:
        if time.time() + trial["fit_seconds"] > setup.deadline:
            return {"skipped": "time"}
        if trial["metered"]:
            return {"skipped": "paid"}
        if rung.planned.refit_seconds > ONE_PART_SECONDS:
            return {"skipped": "cost"}
        random = (setup.data.facts.get("audit") or {}).get("random_units")
        learn, test = evaluate.first_fold(train, held_out_rows(rung, train), random)

        def fit_parts(parts: Sequence[Sequence[int]]) -> Iterator[Model]:
            named = [(f"curve-{i}", [learn[place] for place in part]) for i, part in enumerate(parts, 1)]
            return (model for model, _ in loaded(setup, rung, train.schema, named))

        try:
            with reporting(setup, rung):
                return diagnostics.learning_curve(
                    train.take(learn), train.take(test), metric, trial["fold_score"], fit_parts
                )
        except RunError:
            raise
        except Exception as error:  # The winner stands without a curve.
            setup.run.event("not_measured", rung=rung.name, what="curve", problem=repr(error))
            return {"skipped": "failed", "problem": repr(error)}

    _, found = setup.run.step(f"studies/{rung.name}", curve)
    clear_scratch(setup, rung)
    shown = {key: trial.get(key) for key in ("reliability", "origins", "gallery", "why", "importance")}
    more = second_look(setup, rung, train, trial["fit_seconds"])
    return {**shown, "curve": found, **more, **_layers(setup, rung)}


def _layers(setup: BuildSetup, rung: Rung) -> dict[str, Any]:
    """Return the layers of the ONNX files of a rung's packed trial, as `layers`; none where it has no such file.

    With `layers_problem` where they could not be measured, `layers_too_many` where networks are too large to draw.
    """
    bundle = setup.run.folder / "trials" / rung.name / "bundle"

    def measure(folder: Path) -> dict[str, Any]:
        try:
            parts = bundle_parts(bundle) if any(bundle.rglob("*.onnx")) else []
        except Exception as error:  # The winner stands without a picture.
            setup.run.event("not_measured", rung=rung.name, what="layers", problem=repr(error))
            return {"parts": [], "problem": repr(error)}
        large = {part.file: len(part.layers) for part in parts if len(part.layers) > _MOST_LAYERS}
        drawn = [part.as_dict() for part in parts if 0 < len(part.layers) <= _MOST_LAYERS]
        return {"parts": drawn, "too_many": large}

    _, found = setup.run.step(f"layers/{rung.name}", measure)
    more = {f"layers_{key}": found[key] for key in ("problem", "too_many") if found.get(key)}
    return {"layers": list(found["parts"]), **more}


def held_out_rows(rung: Rung, train: Examples) -> evaluate.HeldOut:
    """Return which training rows are held out of which fit of a rung."""
    return evaluate.folds(train, rung.planned.refit_seconds)


def own_rows(setup: BuildSetup, train: Examples) -> list[int]:
    """Return the places of training rows that do not come from the journal; all where none is known to be the product's."""
    joined = setup.product.joined
    names = {PurePath(joined.feedback).name, PurePath(joined.audit).name} if joined and train.files else set()
    own = [
        place for place in range(len(train)) if not names or PurePath(train.files[place]).name not in names
    ]
    return own or list(range(len(train)))


def gate_places(rows: int, seconds_per_answer: float) -> list[int]:
    """Return which training rows the packed bundle is timed on and held against the fitted model."""
    count = int(min(max(_GATE_SECONDS / max(seconds_per_answer, 1e-9), _FEWEST_GATE_ROWS), _GATE_ROWS))
    return list(range(0, rows, max(rows // count, 1)))[:count]


def _metrics(setup: BuildSetup, rows: TrialRows) -> list[Metric]:
    """Return the metrics of the task and those of the bar, each once."""
    known = [*setup.task.metrics(rows.train.schema), *(r.metric for r in rows.requirements)]
    return list({metric.name: metric for metric in known}.values())


def quality(setup: BuildSetup, rows: TrialRows, evaluation: evaluate.Evaluation) -> dict[str, Any]:
    """Return what the held-out training rows say of a rung."""
    train, requirements = rows.train, rows.requirements
    units = len(set(rows.certification.units))
    alpha = certify.next_alpha(rows.certification.units, setup.lock, setup.product.confidence)
    sampling = sampling_of(setup.data.facts["split"])
    expected = [
        evaluate.predicted_bound(evaluation, r.metric, train, units, alpha, sampling) if units else None
        for r in requirements
    ]
    chances = [e.chance(r.condition.level) for e, r in zip(expected, requirements, strict=True) if e]
    first = requirements[0].metric
    return {
        "scores": evaluate.scores(evaluation, _metrics(setup, rows), train),
        "method": evaluation.method,
        "held_out": dict(evaluation.held_out),
        "fold_score": round(evaluate.first_fold_score(evaluation, first, train), 5),
        "interval": evaluate.interval(evaluation, first, train, setup.product.confidence),
        "predicted_bounds": [None if e is None else round(e.value, 5) for e in expected],
        "chance": round(min(chances), 2) if chances else None,
        "certifiable": expected[0].level_at(LIKELY_CHANCE) if expected[0] else None,
        "details": evaluate.details(evaluation, setup.task, train),
    }


def _looks(setup: BuildSetup, rung: Rung, rows: TrialRows, evaluation: evaluate.Evaluation) -> dict[str, Any]:
    """Return what a report shows of the answers to held-out training rows; a part that fails is said and left out."""
    train = rows.train
    metrics = _metrics(setup, rows)
    truths, answers = evaluation.truths, evaluation.answers
    parts: dict[str, Callable[[], Any]] = {
        "reliability": lambda: diagnostics.reliability(truths, answers, metrics),
        "origins": lambda: diagnostics.by_origin(train, evaluation.rows, truths, answers, metrics),
        "gallery": lambda: diagnostics.gallery(train, evaluation.rows, truths, answers, metrics),
    }
    found: dict[str, Any] = {}
    for name, part in parts.items():
        try:
            found[name] = part()
        except Exception as error:  # The rung stands without a picture.
            setup.run.event("not_measured", rung=rung.name, what=name, problem=repr(error))
            found[name] = None
    return found


def measured(
    setup: BuildSetup, rung: Rung, fresh: SubprocessResult, answers: Sequence[Prediction]
) -> dict[str, Any]:
    """Return what the packed bundle takes in time, memory, money and energy. answers: as charged, to held-out rows."""
    # A model that answers on a GPU holds it for as long as it answers: milliseconds a row are seconds a thousand.
    gpu_seconds = fresh.measured["latency_ms"]["p50"] if rung.planned.gpu_seconds_per_1k else 0.0
    price = {
        "cpu": round(setup.prices.usd(fresh.cpu_per_1k), 9),
        "gpu": round(setup.prices.usd(0.0, gpu_seconds), 9),
        "service": round(1000 * math.fsum(a.cost for a in answers) / max(len(answers), 1), 9),
    }
    return {
        **{key: fresh.measured[key] for key in ("latency_ms", "throughput_per_s", "peak_memory_mb")},
        "usd_per_1k": round(math.fsum(price.values()), 9),
        "price": price,
        "wh_per_1k": round(setup.prices.wh(fresh.cpu_per_1k), 9),
        "planned_usd_per_1k": round(rung.usd_per_1k, 9),
        "measured": fresh.measured,
    }
