"""Gather what a build found into report.json: the stable form that people, pages and programs read."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from typing import Any

from rung.building.climb_findings import Findings
from rung.core import registry
from rung.core.kind import kind
from rung.core.messages import say
from rung.core.spec.product import Product
from rung.pages.data_notes import NOTE_KEYS

# (key, type, meaning): the reference page is made from this list, and a test holds a real report against it.
KEYS: tuple[tuple[str, str, str], ...] = (
    ("rung_version", "text", "version of rung that built"),
    ("product", "text", "name of the product"),
    ("task", "text", "kind of problem"),
    ("title", "text", "what the task does, in words"),
    ("built", "date", "day the build ended"),
    ("inputs", "list", "columns the model reads"),
    ("limits", "object", "ceilings that were asked for"),
    ("metric", "text", "metric of the bar's first condition"),
    ("bar", "list", "conditions: metric, at_least or at_most, confidence"),
    ("cleared", "true, false", "whether a rung was certified to clear the whole bar and all limits"),
    ("winner", "text or null", "rung that ships; when nothing cleared, the best on held-out training rows"),
    ("certificate", "object or null", "proof on rows that no choice has seen; null when nothing cleared"),
    ("certificate.metric", "text", "metric of the first condition"),
    ("certificate.bound", "number", "its certified bound, rounded down to half points"),
    ("certificate.confidence", "number", "chance that a claim like this one is true, at least"),
    ("certificate.rows", "number", "certification rows"),
    (
        "certificate.units",
        "number",
        "different units (rows, groups, ...) among them: what the claim speaks of",
    ),
    ("certificate.looks", "number", "how many looks at these rows have been taken, this one included"),
    ("certificate.alpha", "number", "error this look was allowed to spend"),
    ("certificate.exact", "true, false", "false: bootstrapped, called estimated"),
    (
        "certificate.of",
        "text",
        "what the units are: rows, groups, users, documents, series, or blocks of one series",
    ),
    (
        "certificate.sampling",
        "text",
        "drawn: new units like them; fixed: later rows of these units; blocks: one series",
    ),
    ("certificate.new_units", "number", "of fixed units: how many had no earlier rows"),
    ("certificate.period", "true, false", "whether it speaks of the period after the cut-off only"),
    (
        "certificate.conditions",
        "list",
        "bound, level, exactness and weights (units alike, or rows) of each condition",
    ),
    ("certificate.claim", "text", "the claim in words"),
    ("trials", "list", "one object a rung tried, cheapest first"),
    ("trials.rung", "text", "its name"),
    ("trials.model", "text", "model family"),
    (
        "trials.status",
        "text",
        "cleared, failed certification, below bar, over limit, broken export, stopped by a finding, not certified, not needed, failed",
    ),
    ("trials.problem", "text", "why the rung failed; it then has neither scores nor measurements"),
    ("trials.scores", "object", "metrics on training rows held out from the fit (see method)"),
    ("trials.method", "text", "how they were held out"),
    ("trials.held_out", "object", "the same for programs: how (folds, part, latest) and folds"),
    (
        "trials.interval",
        "[low, high]",
        "of the bar's first metric on those rows, at the bar's confidence; an estimate",
    ),
    (
        "trials.chance",
        "number or null",
        "estimated probability that a look at the certification rows passes",
    ),
    (
        "trials.certifiable",
        "number or null",
        "level of the first condition that a look passes with a probability of 80 %",
    ),
    (
        "trials.predicted_bounds",
        "list",
        "bound each condition was expected to certify; decides whether a look is taken",
    ),
    ("trials.fit_seconds", "number", "wall-clock seconds of the final fit on all training rows"),
    ("trials.latency_ms", "{p50, p95}", "one row at a time, packed bundle, fresh process, one thread"),
    ("trials.throughput_per_s", "number", "rows a second in batches of 512, same process"),
    ("trials.size_mb", "number", "bundle on disk, megabytes"),
    ("trials.peak_memory_mb", "number", "peak resident memory of that process"),
    ("trials.usd_per_1k", "number", "price of 1,000 answers: processor, GPU and what services charge"),
    (
        "trials.price",
        "{cpu, gpu, service}",
        "its parts: CPU and GPU seconds of 1,000 single rows at their prices, and the mean charge of the held-out rows",
    ),
    ("trials.wh_per_1k", "number", "energy of the CPU seconds"),
    ("trials.planned_usd_per_1k", "number", "what the plan expected; rungs are ordered by it"),
    ("trials.calls", "number", "rows that a service answered for this rung; each is asked once"),
    ("trials.spent_usd", "number", "what it charged for them, US dollars"),
    ("trials.over_limits", "list", "limits the rung breaks, in words"),
    ("trials.chosen", "object", "what the fit chose"),
    (
        "trials.training",
        "{loss, score}",
        "of a trained network: the mean loss of each epoch, and the score on training rows held out after it",
    ),
    (
        "raced_out",
        "list",
        "rungs that were not fitted on all rows, because they had no chance after a race on a part of them",
    ),
    ("raced_out.rung", "text", "its name"),
    ("raced_out.model", "text", "model family"),
    ("raced_out.metric", "text", "metric of the bar's first condition"),
    ("raced_out.rows", "number", "training rows of the race, scored in folds"),
    ("raced_out.score", "number", "score on them"),
    ("raced_out.error", "number", "standard error of the score"),
    ("raced_out.rival", "text", "rung it was raced against"),
    ("raced_out.rival_score", "number", "that one's score on the same rows"),
    ("raced_out.clear", "number", "estimated probability that it would have cleared the bar"),
    ("raced_out.lead", "number", "estimated probability that it would have led by more than a point"),
    ("data", "object", "what was read"),
    ("data.rows", "number", "rows read"),
    ("data.used", "number", "rows that train or certify"),
    ("data.train", "number", "rows that train"),
    ("data.certification", "number", "rows that certify"),
    ("data.quarantined", "{reason: n}", "rows left out; data/quarantine.jsonl lists each"),
    (
        "data.settled",
        "{what: n}",
        "changes to targets that depend on their inputs: boxes cut at the edge, repeats dropped",
    ),
    ("data.labels", "{label: n}", "training rows a label"),
    ("data.corrected", "number", "training rows whose label `data.corrections` changed"),
    (
        "data.corrections_unused",
        "number",
        "corrections that fit no row: its text or its label is another now",
    ),
    ("data.split", "object", "how sides were decided"),
    (
        "data.respelled",
        "object or null",
        "rows of an earlier build that are here in another spelling: share of them, looks that count therefore",
    ),
    (
        "data.groups",
        "object",
        "units that certify (certify), and how many of them have no rows that train (new)",
    ),
    ("data.encoding", "object", "character encoding of each source"),
    ("data.formats", "object", "how the cells of a column are written, where there was something to decide"),
    ("data.columns_left_out", "{column: reason}", "columns of no kind that the task reads"),
    ("data.without_group", "number", "rows without a group, each of which counts as a group"),
    ("data.missing_words", "{word: n}", "words of the target that were read as no label"),
    ("data.dialects", "object", "what was out of the ordinary in a file: lines skipped, quotes read as text"),
    ("findings", "list", "what the cheap checks of the data found, gravest first"),
    ("findings.check", "text", "the check that found it"),
    ("findings.key", "text", "what `accept` calls it: the check, and its column if it concerns one"),
    ("findings.accepted", "true, false", "whether `accept` names it; its level is then warn"),
    ("findings.level", "text", "stop, warn or info"),
    ("findings.rows", "number", "rows it concerns"),
    ("findings.of", "number", "rows looked at"),
    ("findings.values", "object", "what fills its words"),
    ("findings.evidence", "list", "a few training rows that show it: file, row, excerpt, note"),
    (
        "data.clean",
        "list",
        "one object a step that mended text: rows in, left and changed; examples of training rows, personal data dotted out",
    ),
    (
        "details",
        "object",
        "the task's own findings on held-out rows of the winner: confusion matrix, mistakes",
    ),
    ("study", "object", "more of the winner, on held-out training rows"),
    ("study.reliability", "object", "how often answers were right by how sure they were"),
    (
        "study.origins",
        "list",
        "of images: how often answers were right by camera, or by size in pixels; with Wilson intervals at 95 %",
    ),
    (
        "study.gallery",
        "list",
        "of images: the least sure, the middle and the surest answers, with thumbnails",
    ),
    ("study.curve", "object", "score by training rows; or `skipped` with the reason"),
    (
        "study.layers",
        "list",
        "of each ONNX file: its layers, with shape, bytes of weights and outputs, and microseconds",
    ),
    (
        "study.time_cut",
        "object",
        "only where a task has one: the winner over a cut in time (`when`, `rows`, `scores` or `problem`)",
    ),
    ("study.layers_problem", "str", "only where they could not be measured: why"),
    ("study.layers_too_many", "object", "only where a file has more layers than are drawn: how many"),
    (
        "study.why",
        "object",
        "words that speak for each label, and mistakes explained; {} where the model cannot",
    ),
    (
        "study.importance",
        "object",
        "of a table: what shuffling each column costs, how answers move with the first few; {} for others",
    ),
    (
        "cascade",
        "object",
        "a cascade of two of the rungs that lies on the Pareto front: stages, yaml, share handed on, score, price, the same of both rungs, "
        "and its curve; scored on training rows held out from both and from its thresholds; {} where none does",
    ),
    (
        "spent",
        "object",
        "what services took in this build, runs that it resumed included; spent.json has it by rung",
    ),
    ("spent.usd", "number", "US dollars that they charged"),
    ("spent.calls", "number", "rows that they answered"),
    ("costs", "object", "serving, and a large language model for the same answers at dated list prices"),
    ("advice", "list", "what to do next, in words"),
    ("advice_items", "list", "the same for programs: key and values of each message"),
    ("prices", "object", "date and source of each price"),
    ("hardware", "object", "machine, cores and threads of the measurements"),
    ("seed", "number", "of every random choice"),
    ("extras", "list", "what to install of rung to build it again: `rung[build,images]`, say"),
)


def report(
    product: Product,
    data: Mapping[str, Any],
    found: Findings,
    items: Sequence[Mapping[str, Any]],
    prices: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """Return report.json as a value; `KEYS` documents it. items: what to do next, of `building.advice`."""
    winner = next((t for t in found.trials if t["rung"] == found.winner), None)
    shown = (
        "rows",
        "used",
        "train",
        "certification",
        "quarantined",
        "corrected",
        "corrections_unused",
        "labels",
        "split",
        "groups",
        "respelled",
        "encoding",
        *NOTE_KEYS,
    )
    hidden = {
        "details", "version", "measured", "metered", "reliability", "origins", "gallery", "why", "importance", "fold_score", "assumptions",
    }  # fmt: skip
    return {
        "rung_version": machine["rung_version"],
        "product": product.name,
        "task": product.task,
        "title": machine["title"],
        "built": date.today().isoformat(),
        "inputs": list(product.data.input),
        "limits": product.limits.model_dump(exclude_none=True),
        "metric": product.bar[0].metric,
        "bar": [condition.model_dump(exclude_none=True) for condition in product.bar],
        "cleared": found.cleared,
        "winner": found.winner,
        "certificate": dict(found.certificate) if found.certificate else None,
        "trials": [{k: v for k, v in t.items() if k not in hidden} for t in found.trials],
        "raced_out": [{k: v for k, v in lost.items() if k != "lost"} for lost in found.raced_out],
        "data": {key: data[key] for key in shown if key in data}
        | {"clean": data.get("clean", [])}
        | _audit(data),
        "findings": list(data.get("findings", [])),
        "details": dict(winner["details"]) if winner else {},
        "study": dict(found.study),
        "cascade": dict(found.cascade),
        "costs": dict(found.costs),
        "spent": {"usd": round(found.spent.usd, 6), "calls": found.spent.calls},
        "advice": [say(f"advice.{item['key']}", "en", **item["values"]) for item in items],
        "advice_items": items,
        "prices": dict(prices),
        "hardware": {k: v for k, v in machine.items() if k not in {"rung_version", "title"}},
        "seed": product.seed,
        "extras": extras(product, found.trials),
    }


def extras(product: Product, trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the extras of rung whose packages these models and the kinds of the inputs need."""
    models = {extra for trial in trials for extra in registry.model(trial["model"]).NEEDS.split(",")}
    fields = registry.task(product.task).schema(product.data.input, []).inputs
    return sorted({"build", *models, *(kind(field.kind).extra for field in fields)} - {""})


def _audit(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far the random rows that certify have come, where people label; else nothing."""
    audit = data.get("audit")
    return {"audit": {key: value for key, value in audit.items() if key != "random_units"}} if audit else {}


def machine(threads: int, title: str) -> dict[str, Any]:
    """Return what the measurements were taken on, beside the task's title and our version."""
    return {
        "title": title,
        "rung_version": version("rung"),
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": threads,
    }
