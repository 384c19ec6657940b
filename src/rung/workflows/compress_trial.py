"""The trial of one smaller version: made from each fold's model and scored on its held-out rows, then made for all, packed, measured."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

from rung.building import certify, compression, drift_reference, evaluate, pack
from rung.core import registry
from rung.core.answers import answer_from_json, answer_to_json
from rung.core.errors import RungError
from rung.core.files import read_json, whole_folder, write_json
from rung.core.model import Fitted, Model, Rung
from rung.core.types import Columns
from rung.serving.subprocess_predict import predict_in_subprocess
from rung.training.compression.recipe import Recipe, Source
from rung.workflows.build_setup import BuildSetup
from rung.workflows.reopen import Reopened
from rung.workflows.rung_fits import fits, reporting
from rung.workflows.trial import (
    differing,
    gate_places,
    held_out_rows,
    is_stochastic,
    measured,
    own_rows,
    quality,
    random_rows,
)

# Fold models and what was made of them, until the whole is done.
_MODELS, _FACTS, _ANSWERS = "models", "made.json", "answers.jsonl"
_ALL = "all"


def _keep(source: Source, folder: Path) -> str:
    """Copy the model as it is."""
    shutil.copytree(source.folder, folder, dirs_exist_ok=True)
    return source.family


WINNER = Recipe("winner", "winner", _keep)


def require_compressible(opened: Reopened) -> None:
    """Raise RungError for a winner whose smaller versions could not be held against it."""
    name, trial = opened.rung.model, opened.trial
    if trial.get("metered"):
        raise RungError(
            f"'{name}' asks a service",
            str(opened.folder),
            "Train a model of your own on its answers: rung distill.",
        )
    if opened.setup.task.is_stochastic or registry.model(name).is_stochastic:
        raise RungError(f"the answers of '{name}' vary", str(opened.folder), "Its bundle serves as it is.")
    if opened.rung.planned.gpu_seconds_per_1k:
        raise RungError(
            f"'{name}' answers on a GPU", str(opened.folder), "Set `budget.device: cpu` and build again."
        )


def clear_models(setup: BuildSetup) -> None:
    """Delete the models of folds."""
    shutil.rmtree(setup.run.folder / _MODELS, ignore_errors=True)


class Smaller:
    """The smaller models of a run, each made when it is first asked for, from nothing but the rows of its fold."""

    def __init__(self, opened: Reopened, unlabelled: Columns) -> None:
        self.opened = opened
        self._unlabelled = unlabelled
        self._recipes: dict[str, Recipe] = {"": WINNER, WINNER.name: WINNER}

    def identity(self, recipe: Recipe) -> str:
        """Return what must be the same for a trial that was kept to stand for a new one: what it was made of, and where."""
        self._recipes[recipe.name] = recipe
        base = self.identity(self._recipes[recipe.base]) if recipe.base else str(self.opened.trial["version"])
        parts = [
            base,
            recipe.name,
            dict(recipe.values),
            self._learned,
            self.opened.setup.fingerprint,
            platform.node(),
            package_version("rung"),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def _learned(self) -> str:
        """Return a hash of the unlabelled rows."""
        return hashlib.sha256(
            repr(sorted(self._unlabelled.items())).encode("utf-8", "surrogatepass")
        ).hexdigest()

    @cached_property
    def held_out(self) -> evaluate.HeldOut:
        """Return which rows are held out of which fold, as in the trial of the winner."""
        return held_out_rows(self.opened.rung, self.opened.rows.train)

    @cached_property
    def _folds(self) -> list[Fitted]:
        """Return the winner fitted on the rows of each fold."""
        setup, rung = self.opened.setup, self.opened.rung
        named = [(f"fold-{number}", learn) for number, (learn, _) in enumerate(self.held_out.parts)]
        with reporting(setup, rung):
            return list(fits(setup, rung, named))

    def models(self, recipe: Recipe) -> Iterator[Model]:
        """Yield the recipe's model of each fold."""
        for fold in range(len(self.held_out.parts)):
            yield self.load(recipe, fold)

    def load(self, recipe: Recipe, fold: int | None) -> Model:
        """Return the recipe's model of a fold, or of all rows (None)."""
        folder, family = self.made(recipe, fold)
        return registry.model(family).load(folder, self.opened.rows.train.schema)

    def made(self, recipe: Recipe, fold: int | None) -> tuple[Path, str]:
        """Return folder and family of the recipe's model of a fold, or of all rows (None)."""
        self._recipes[recipe.name] = recipe
        rung, train = self.opened.rung, self.opened.rows.train
        if recipe is WINNER:
            everything = self.opened.folder / "trials" / rung.name / "bundle" / "model"
            return everything if fold is None else self._folds[fold].folder, rung.model
        place = _ALL if fold is None else f"fold-{fold}"
        target = self.opened.setup.run.folder / _MODELS / recipe.name / place
        if not target.is_dir():
            folder, family = self.made(self._recipes[recipe.base], fold)
            learn = train if fold is None else train.take(self.held_out.parts[fold][0])
            context = replace(self.opened.setup.context, channel=None, scratch=None)
            source = Source(family, folder, train.schema, learn, rung.params, context, self._unlabelled)
            with whole_folder(target) as temporary:
                (temporary / "model").mkdir()
                write_json(temporary / _FACTS, {"family": recipe.make(source, temporary / "model")})
        return target / "model", str(read_json(target / _FACTS)["family"])


def winner_trial(smaller: Smaller) -> dict[str, Any]:
    """Return the trial of the run's winner as it is, with its held-out answers as `scored`."""
    return candidate_trial(smaller, WINNER, None)


def candidate_trial(smaller: Smaller, recipe: Recipe, winner: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the trial of a recipe. winner: the trial of what it is compared with; None for itself.

    Answers and measurements of one that was made before are taken as they were; what is to be expected of a look is
    reckoned anew, since it depends on the looks that were taken.
    """
    opened, setup, rows = smaller.opened, smaller.opened.setup, smaller.opened.rows
    train, needs = rows.train, rows.requirements
    folder, identity = setup.run.folder / "candidates" / recipe.name, smaller.identity(recipe)
    facts = folder / _FACTS
    if not (
        facts.is_file()
        and read_json(facts)["identity"] == identity
        and Path(read_json(facts)["bundle"]).is_dir()
    ):
        evaluation = evaluate.evaluate(train, smaller.held_out, smaller.models(recipe))
        with whole_folder(folder) as temporary:
            lines = "".join(answer_to_json(answer) + "\n" for answer in evaluation.answers)
            (temporary / _ANSWERS).write_text(lines, encoding="utf-8")
            found = _measured(smaller, recipe, random_rows(setup, evaluation))
            write_json(temporary / _FACTS, {**found, "identity": identity})
    evaluation = random_rows(setup, _kept_evaluation(smaller, folder / _ANSWERS))
    scored = evaluate.scored_rows(evaluation, train, needs[0].metric)
    trial = {
        **read_json(facts), **quality(setup, rows, evaluation), "scored": scored,
        **compression.loss_of(needs[0].metric, winner["scored"] if winner else scored, scored),
        "certified": bool(opened.report["certificate"]), "how": dict(evaluation.held_out), "held_out_rows": len(evaluation.rows),
    }  # fmt: skip
    known = len(rows.certification) > 0 and certify.is_known(
        rows.certification, trial["version"], needs, setup.product.confidence, setup.lock
    )
    bounds = zip(needs, trial["predicted_bounds"], strict=True)
    trial["expected"] = known or all(b is None or r.condition.met_by(b) for r, b in bounds)
    trial["over_limits"] = setup.product.limits.broken_by(
        trial["latency_ms"]["p95"], trial["size_mb"], trial["peak_memory_mb"], trial["usd_per_1k"]
    )
    return trial


def _kept_evaluation(smaller: Smaller, file: Path) -> evaluate.Evaluation:
    """Return the evaluation whose answers lie in a file."""
    train, held_out = smaller.opened.rows.train, smaller.held_out
    rows = sorted(place for _, test in held_out.parts for place in test)
    with file.open(encoding="utf-8") as lines:
        answers = tuple(answer_from_json(line) for line in lines)
    return evaluate.Evaluation(
        tuple(rows), tuple(train.targets[row] for row in rows), tuple(train.units[row] for row in rows), answers, held_out.how,
        frozenset(held_out.parts[0][1]),
    )  # fmt: skip


def _measured(smaller: Smaller, recipe: Recipe, evaluation: evaluate.Evaluation) -> dict[str, Any]:
    """Return what the recipe's model of all rows is, packed and measured in a fresh process."""
    opened, setup, rows = smaller.opened, smaller.opened.setup, smaller.opened.rows
    begun, metric = time.monotonic(), rows.requirements[0].metric
    folder, family = smaller.made(recipe, None)
    rung = Rung(opened.rung.name, family, None, opened.rung.planned, opened.rung.usd_per_1k)
    model = smaller.load(recipe, None)
    asked = rows.train.take(gate_places(len(rows.train), rung.planned.cpu_seconds_per_1k / 1000))
    answers = model.predict(asked.inputs)
    fitted = Fitted(
        folder, 0.0, 0.0, dict(model.chosen), model.assumptions, dict(model.children), tuple(answers)
    )
    if recipe is WINNER:
        bundle, version = opened.bundle, str(opened.trial["version"])
    else:
        bundle = setup.run.folder / "bundles" / recipe.name
        version = _pack(
            smaller, (f"{opened.rung.name}-{recipe.name}", family), fitted, evaluation, bundle, recipe
        )
    fresh = predict_in_subprocess(bundle, asked.records(), measure=True)
    varies = is_stochastic(setup, rung, fitted)
    seconds = fresh.cpu_per_1k
    beside = (
        {}
        if recipe is WINNER
        else {
            "winner_cpu_seconds_per_1k": predict_in_subprocess(
                opened.bundle, asked.records(), measure=True
            ).cpu_per_1k
        }
    )
    return {
        "name": recipe.name, "step": recipe.step, "values": dict(recipe.values), "base": recipe.base, "status": "measured",
        "problems": [], "model": family, "version": version, "bundle": str(bundle), "metered": False,
        **measured(setup, rung, fresh, evaluation.answers), "cpu_seconds_per_1k": seconds, **beside,
        "g_co2_per_1k": round(setup.prices.g_co2(seconds), 9),
        "size_mb": pack.size_mb(bundle), "assumptions": fitted.assumptions,
        "differing": differing(setup, asked, (answers, fresh.answers), metric if varies else None),
        "seconds": round(time.monotonic() - begun, 2),
    }  # fmt: skip


def _pack(
    smaller: Smaller,
    rung: tuple[str, str],
    fitted: Fitted,
    evaluation: evaluate.Evaluation,
    bundle: Path,
    recipe: Recipe,
) -> str:
    """Pack a candidate as a trial packs a rung; return its version."""
    opened, setup, train = smaller.opened, smaller.opened.setup, smaller.opened.rows.train
    own = own_rows(setup, train)
    places = [own[place] for place in pack.selftest_places(len(own))]
    sample = train.take(places)
    answers = registry.model(rung[1]).load(fitted.folder, train.schema).predict(sample.inputs)
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    drift_reference.place(bundle, opened.folder / "reference", train.schema, evaluation)
    shown = {key: setup.data.facts[key] for key in ("rows", "train", "certification")}
    made_of = {"compressed_from": opened.trial["version"], "compressed_by": recipe.name}
    facts = {**shown, "fingerprint": setup.fingerprint, **made_of}
    manifest = pack.pack(bundle, setup.product, setup.task, rung, fitted, (sample, answers), facts)
    return manifest.version
