"""Make the winner of a run smaller or faster: candidates, each scored and packed, the best certified, or the winner stays."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.building import compression, pack
from rung.building import report as build_report
from rung.building.compression import Wanted
from rung.core.errors import RunError, RungError
from rung.core.files import whole_folder, write_json, write_text
from rung.core.messages import resolve_language
from rung.core.run import Listener
from rung.core.spec.compress import CompressSpec
from rung.core.spec.product import load_product
from rung.core.types import Columns
from rung.data.sources.unlabelled import unlabelled_rows
from rung.pages.compress import render
from rung.training.compression.offers import recipes_for
from rung.training.compression.recipe import Recipe
from rung.workflows.climb import take_look
from rung.workflows.compress_trial import (
    WINNER,
    Smaller,
    candidate_trial,
    clear_models,
    require_compressible,
    winner_trial,
)
from rung.workflows.reopen import Reopened, reopened

FOLDER, WORK = "compressed", "compress"
# What a report keeps of a candidate.
_SHOWN = (
    "name", "step", "values", "base", "status", "problems", "problem", "skipped", "scores", "lost", "interval", "predicted_bounds",
    "size_mb", "latency_ms", "throughput_per_s", "peak_memory_mb", "cpu_seconds_per_1k", "winner_cpu_seconds_per_1k", "usd_per_1k", "wh_per_1k",
    "g_co2_per_1k", "model", "version", "seconds", "over_limits",
)  # fmt: skip


@dataclass(frozen=True)
class Compressed:
    """What came of it. bundle: the smaller one, or the run's own where none took its place."""

    folder: Path
    bundle: Path
    report: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Return whether a smaller bundle ships."""
        return bool(self.report["verdict"] == "compressed")


def compress(
    run: str | Path,
    wanted: Wanted | None = None,
    *,
    product: str | Path | None = None,
    unlabelled: str | Path | None = None,
    on_event: Listener | None = None,
    lang: str | None = None,
) -> Compressed:
    """Return a smaller bundle of a run's winner, certified like the winner was, or why there is none; the run is not changed.

    wanted: what it may take and lose; by default what the section `compress` of the product says, or as small as half a point allows.
    unlabelled: a table of rows without labels that students may learn from, answered by the winner; by default that of the section.
    product: product.yaml, where the run was moved. Writes compressed/ in the run's folder. Raises RungError for a run or a winner that cannot be compressed.
    """
    words = resolve_language(lang)
    begun, cpu = time.time(), _cpu_seconds()
    with reopened(Path(run), WORK, Path(product) if product else None, on_event) as opened:
        section = _section(Path(run), Path(product) if product else None)
        wanted = _checked(wanted or wanted_of(section))
        if unlabelled is None and section is not None and section.unlabelled:
            unlabelled = opened.setup.context.base / section.unlabelled
        require_compressible(opened)
        extra = _extra(opened, Path(unlabelled)) if unlabelled else {}
        winner, trials = _measured(opened, wanted, extra)
        chosen = compression.choose(trials, wanted)
        verdict, proof = _verdict(opened, winner, chosen)
        folder = opened.folder / FOLDER
        bundle = opened.bundle
        with whole_folder(folder) as temporary:
            if verdict == "compressed" and chosen is not None:
                pack.finish(Path(chosen["bundle"]), _made(temporary / "bundle"), proof)
                bundle = folder / "bundle"
            spent = {"seconds": round(time.time() - begun, 1), "cpu_seconds": round(_cpu_seconds() - cpu, 1)}
            found = _report(opened, wanted, (winner, trials), (verdict, chosen, proof), spent, extra)
            write_json(temporary / "compress.json", found)
            write_text(temporary / "compress.html", render(found, words))
        clear_models(opened.setup)
        opened.setup.run.event("compressed", verdict=verdict, chosen=chosen and chosen["name"])
    return Compressed(folder, bundle, found)


def wanted_of(section: CompressSpec | None) -> Wanted:
    """Return what a section of a product asks for; what is asked for where there is none."""
    return Wanted(section.to, section.max_loss, section.prefer, section.train) if section else Wanted()


def wanted_in(run: Path, product: Path | None = None) -> Wanted:
    """Return what the product of a run asks for. product: its file, where it is not the one that the run keeps."""
    return wanted_of(_section(run, product))


def _section(run: Path, product: Path | None) -> CompressSpec | None:
    kept = run / "product.yaml"
    file = product or (kept if kept.is_file() else None)
    return load_product(file)[0].compress if file else None


def _checked(wanted: Wanted) -> Wanted:
    """Raise RungError for a target that means nothing."""
    if wanted.size_mb is not None and not 0 < wanted.size_mb < 1e6:
        raise RungError(f"a size of {wanted.size_mb:g} MB", "--to", "Give megabytes, such as 10MB.")
    if not 0 <= wanted.loss < 1:
        raise RungError(
            f"a loss of {wanted.loss:g}", "--max-loss", "Give a share of 1, such as 0.005 for half a point."
        )
    return wanted


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it started and that ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _extra(opened: Reopened, file: Path) -> Columns:
    """Return the unlabelled rows of a file that are no rows of the product."""
    rows, setup = opened.rows, opened.setup
    return unlabelled_rows(file, setup.product.data, setup.task, (rows.train, rows.certification))


def _measured(
    opened: Reopened, wanted: Wanted, extra: Columns
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the trials of the winner and of its candidates. A candidate that fails is left out with the reason."""
    smaller = Smaller(opened, extra)
    winner = winner_trial(smaller)
    folder, family = smaller.made(WINNER, None)
    offered = recipes_for(family, folder, opened.rows.train.schema, wanted.train)
    if not offered:
        raise RungError(
            f"there is no smaller version of '{opened.rung.model}' to make",
            str(opened.folder),
            "Its bundle serves as it is.",
        )
    trials: list[dict[str, Any]] = []
    for recipe in offered:
        held_back = _held_back(recipe, trials, wanted)
        if held_back:
            trials.append(_unmade(recipe, "skipped", skipped=held_back))
            continue
        trial = _guarded(smaller, recipe, winner)
        if trial["status"] != "failed":
            trial["problems"] = compression.problems(trial, winner, wanted, opened.setup.product.bar)
        trials.append(trial)
        opened.setup.run.event("candidate", **{key: trial.get(key) for key in _SHOWN})
    return winner, trials


def _held_back(recipe: Recipe, trials: Sequence[Mapping[str, Any]], wanted: Wanted) -> str:
    """Return the earlier candidate because of which this one is not made; "" when it is made."""
    by_name = {trial["name"]: trial for trial in trials}
    for name in filter(None, (recipe.base, recipe.after)):
        before = by_name.get(name)
        if before is not None and (before["status"] in {"failed", "skipped"} or before["lost"] > wanted.loss):
            return name
    return ""


def _guarded(smaller: Smaller, recipe: Recipe, winner: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return candidate_trial(smaller, recipe, winner)
    except RunError:
        raise
    except Exception as error:  # One candidate that fails never takes the others down.
        problem = (
            ". ".join(filter(None, (error.problem, error.fix)))
            if isinstance(error, RungError)
            else repr(error)
        )
        smaller.opened.setup.run.event("failed", rung=recipe.name, problem=problem, fix="")
        return _unmade(recipe, "failed", problem=problem)


def _unmade(recipe: Recipe, status: str, **why: str) -> dict[str, Any]:
    head = {"name": recipe.name, "step": recipe.step, "values": dict(recipe.values), "base": recipe.base}
    return {**head, "status": status, "problems": [status], **why}


def _verdict(
    opened: Reopened, winner: Mapping[str, Any], chosen: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any] | None]:
    """Return compressed, rejected (its look failed) or refused (nothing to choose), and the certificate.

    A winner without a certificate is taken the place of without one, unless the bar is expected to be cleared.
    """
    if chosen is None:
        return "refused", None
    if not winner["certified"] and not (chosen["expected"] and len(opened.rows.certification)):
        return "compressed", None
    trial = {**chosen, "rung": f"{chosen['name']}-{chosen['version']}"}
    status, proof = take_look(opened.setup, opened.rung, trial, opened.rows, Path(chosen["bundle"]))
    if winner["certified"] and proof is None:
        return "rejected", None
    return "compressed", proof


def _report(
    opened: Reopened,
    wanted: Wanted,
    measured: tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]],
    decided: tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None],
    spent: Mapping[str, float],
    extra: Columns,
) -> dict[str, Any]:
    """Return the report as a value."""
    winner, trials = measured
    verdict, chosen, proof = decided
    setup, least = opened.setup, compression.smallest([t for t in trials if t["status"] != "skipped"])
    made = [winner, *(t for t in trials if t["status"] == "measured")]
    return {
        "product": setup.product.name,
        "rung": opened.rung.name,
        "metric": opened.rows.requirements[0].metric.name,
        "higher_is_better": opened.rows.requirements[0].metric.higher_is_better,
        "bar": opened.report["bar"],
        "level": opened.rows.requirements[0].condition.level,
        "wanted": {"size_mb": wanted.size_mb, "max_loss": wanted.loss, "prefer": wanted.prefer, "train": wanted.train},
        "verdict": verdict,
        "chosen": chosen["name"] if chosen else None,
        "certificate": dict(proof) if proof else None,
        "before": {key: winner[key] for key in _SHOWN if key in winner} | {"certified": winner["certified"]},
        "candidates": [{key: trial[key] for key in _SHOWN if key in trial} for trial in trials],
        "smallest": least["name"] if least else None,
        "front": {key: compression.front(made, key) for key in ("size_mb", "usd_per_1k")},
        "held_out": {**winner["how"], "rows": winner["held_out_rows"]},
        "unlabelled_rows": len(next(iter(extra.values()), ())),
        "spent": {
            **spent, "usd": round(setup.prices.usd(spent["cpu_seconds"]), 6),
            "wh": round(setup.prices.wh(spent["cpu_seconds"]), 4),
            "g_co2": round(setup.prices.g_co2(spent["cpu_seconds"]), 4),
        },
        "prices": setup.prices.notes,
        "machine": build_report.machine(setup.context.threads, setup.task.title),
    }  # fmt: skip
