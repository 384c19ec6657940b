"""Gather what a build found into report.json: the stable form that people, pages and programs read."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from typing import Any

from rung.core import registry
from rung.core.kind import kind
from rung.core.messages import say
from rung.core.model import Rung
from rung.core.spec.product import Condition, Product
from rung.core.stats.confidence_bounds import rows_needed
from rung.runtime.service.ledger import Spending

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
        "cleared, failed certification, below bar, over limit, broken export, not certified, not needed, failed",
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
    ("data", "object", "what was read"),
    ("data.rows", "number", "rows read"),
    ("data.used", "number", "rows that train or certify"),
    ("data.train", "number", "rows that train"),
    ("data.certification", "number", "rows that certify"),
    ("data.quarantined", "{reason: n}", "rows left out; data/quarantine.jsonl lists each"),
    ("data.labels", "{label: n}", "training rows a label"),
    ("data.corrected", "number", "training rows whose label `data.corrections` changed"),
    (
        "data.corrections_unused",
        "number",
        "corrections that fit no row: its text or its label is another now",
    ),
    ("data.split", "object", "how sides were decided"),
    (
        "data.groups",
        "object",
        "units that certify (certify), and how many of them have no rows that train (new)",
    ),
    ("data.encoding", "object", "character encoding of each source"),
    ("findings", "list", "what the cheap checks of the data found, gravest first"),
    ("findings.check", "text", "the check that found it"),
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
    ("study.curve", "object", "score by training rows; or `skipped` with the reason"),
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


@dataclass(frozen=True)
class Findings:
    """What a climb ended with."""

    trials: Sequence[Mapping[str, Any]]
    winner: str | None
    certificate: Mapping[str, Any] | None
    cleared: bool
    study: Mapping[str, Any] = field(default_factory=dict)
    costs: Mapping[str, Any] = field(default_factory=dict)
    spent: Spending = Spending()


def failed_trial(rung: Rung, why: str) -> dict[str, Any]:
    """Return what stands in a report for a rung that could not be tried to its end."""
    return {
        "rung": rung.name, "model": rung.model, "is_floor": False, "status": "failed", "problem": why, "scores": {},
        "over_limits": [], "differing": 0, "planned_usd_per_1k": round(rung.usd_per_1k, 9),
    }  # fmt: skip


def report(
    product: Product,
    data: Mapping[str, Any],
    found: Findings,
    prices: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """Return report.json as a value; `KEYS` documents it."""
    items = advice_items(product, data, found)
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
        "encoding",
    )
    hidden = {
        "details", "version", "measured", "metered", "reliability", "why", "importance", "fold_score", "assumptions",
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
        "data": {key: data[key] for key in shown if key in data}
        | {"clean": data.get("clean", [])}
        | _audit(data),
        "findings": list(data.get("findings", [])),
        "details": dict(winner["details"]) if winner else {},
        "study": dict(found.study),
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


def is_unasked(data: Mapping[str, Any]) -> bool:
    """Return whether no certificate was asked for; rows that wait for a label are asked for."""
    return data["certification"] == 0 and not (data.get("audit") or {}).get("wanted")


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


def advice_items(product: Product, data: Mapping[str, Any], found: Findings) -> list[dict[str, Any]]:
    """Return what to do next, most useful first: the key of a message below `advice` and its values."""
    items: list[dict[str, Any]] = []
    tried = [t for t in found.trials if t["scores"]]
    condition = product.bar[0]
    best = max(tried, key=lambda t: _towards(condition, t), default=None)
    if not found.cleared and best is not None:
        items += _refusal(data, found, condition, best)
    first = found.trials[0] if found.trials else None
    if first and found.cleared and found.winner == first["rung"] and first["is_floor"]:
        items.append(_item("floor"))
    # Rows that wait for a label are no fault of the data.
    faults = {
        reason: n
        for reason, n in data["quarantined"].items()
        if reason not in {"not_labelled", "not_audited"}
    }
    left_out = sum(faults.values())
    if left_out > 0.1 * data["rows"]:
        reason, count = max(faults.items(), key=lambda item: item[1])
        items.append(_item("quarantine", left=left_out, rows=data["rows"], reason=reason, count=count))
    thin = [label for label, count in data["labels"].items() if count < 20]
    if thin:
        named = ", ".join(f"'{label}'" for label in thin[:5]) + (" ..." if len(thin) > 5 else "")
        items.append(_item("thin", n=len(thin), named=named))
    return items


def _refusal(
    data: Mapping[str, Any], found: Findings, condition: Condition, best: Mapping[str, Any]
) -> list[dict[str, Any]]:
    score = best["scores"].get(condition.metric)
    level = f"{condition.level:g}"
    estimate = {"rung": best["rung"], "metric": condition.metric, "score": f"{score:.3f}"}
    if is_unasked(data):
        return [_item("no_certificate", **estimate)]
    audit = data.get("audit") or {"wanted": 0, "done": 0}
    if data["certification"] == 0:
        return [_item("audit", done=audit["done"], wanted=audit["wanted"], **estimate)]
    sign = "≥" if condition.higher_is_better else "≤"
    items = [_item("refused", wanted=f"{sign} {level}", **estimate)]
    over = [line for t in found.trials for line in t["over_limits"]]
    if over:
        items.append(_item("limits", over="; ".join(dict.fromkeys(over))))
    if condition.higher_is_better and condition.level < 1.0 and score > condition.level:
        items += _more_to_certify(data, condition, best)
    side, end = ("lower", 0) if condition.higher_is_better else ("raise", 1)
    items.append(_item(f"helps_{side}", near=f"{max(best['interval'][end], 0):.2f}"))
    return items


def _more_to_certify(
    data: Mapping[str, Any], condition: Condition, best: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return how many rows or groups would certify a rung that is estimated above the bar, if more than there are."""
    score, here = best["scores"][condition.metric], data["certification"]
    asked = {"level": f"{condition.level:g}", "confidence": f"{condition.confidence:.0%}", "here": here}
    groups = data.get("groups", {}).get("certify", here)
    over_time = data["split"].get("groups") == "same"
    if (over_time or groups < here) and best["predicted_bounds"][0] is not None:
        # A margin shrinks with the square root of the number of groups.
        margin = score - best["predicted_bounds"][0]
        needed = math.ceil(groups * (margin / (score - condition.level)) ** 2)
        key = "groups_needed" if over_time else "new_groups_needed"
        return [_item(key, **asked | {"needed": needed, "here": groups})] if needed > groups else []
    rows = rows_needed(score, condition.level, (1.0 - condition.confidence) / 2.0)
    if rows is None:
        return [_item("too_close")]
    key = "audit_more" if data.get("audit") else "rows_needed"
    return [_item(key, **asked, needed=rows)] if rows > here else []


def _item(key: str, **values: Any) -> dict[str, Any]:
    return {"key": key, "values": values}


def _towards(condition: Condition, trial: Mapping[str, Any]) -> float:
    score = trial["scores"].get(condition.metric, float("-inf"))
    return float(score if condition.higher_is_better else -score)
