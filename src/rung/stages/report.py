"""Gather what a build found into report.json: the stable form that people, pages and programs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.bounds import rows_needed
from rung.core.product import Condition, Product

# (key, type, meaning): the reference page is made from this list, and a test holds a real report against it.
KEYS: tuple[tuple[str, str, str], ...] = (
    ("rung_version", "text", "version of rung that built"),
    ("product", "text", "name of the product"),
    ("task", "text", "kind of problem"),
    ("metric", "text", "metric of the bar's first condition"),
    ("bar", "list", "conditions: metric, at_least or at_most, confidence"),
    ("cleared", "true, false", "whether a rung was certified to clear the whole bar and all limits"),
    ("winner", "text or null", "rung that ships; when nothing cleared, the best on held-out training rows"),
    ("certificate", "object or null", "proof on rows that no choice has seen; null when nothing cleared"),
    ("certificate.metric", "text", "metric of the first condition"),
    ("certificate.bound", "number", "its certified bound, rounded down to half points"),
    ("certificate.confidence", "number", "chance that a claim like this one is true, at least"),
    ("certificate.rows", "number", "certification rows"),
    ("certificate.units", "number", "different units (texts or groups) among them: what the claim speaks of"),
    ("certificate.looks", "number", "how many looks at these rows have been taken, this one included"),
    ("certificate.alpha", "number", "error this look was allowed to spend"),
    ("certificate.exact", "true, false", "false: bootstrapped, called estimated"),
    ("certificate.conditions", "list", "bound, level and exactness of each condition"),
    ("certificate.claim", "text", "the claim in words"),
    ("trials", "list", "one object a rung tried, cheapest first"),
    ("trials.rung", "text", "its name"),
    ("trials.model", "text", "model family"),
    (
        "trials.status",
        "text",
        "cleared, failed certification, below bar, over limit, broken export, not certified, not needed",
    ),
    ("trials.scores", "object", "metrics on training rows held out from the fit (see method)"),
    ("trials.method", "text", "how they were held out"),
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
    ("trials.usd_per_1k", "number", "CPU seconds of 1,000 single rows times the price of a core"),
    ("trials.wh_per_1k", "number", "energy of the same"),
    ("trials.planned_usd_per_1k", "number", "what the plan expected; rungs are ordered by it"),
    ("trials.over_limits", "list", "limits the rung breaks, in words"),
    ("trials.chosen", "object", "what the fit chose"),
    ("data", "object", "what was read"),
    ("data.rows", "number", "rows read"),
    ("data.used", "number", "rows that train or certify"),
    ("data.train", "number", "rows that train"),
    ("data.certification", "number", "rows that certify"),
    ("data.quarantined", "{reason: n}", "rows left out; data/quarantine.jsonl lists each"),
    ("data.labels", "{label: n}", "training rows a label"),
    ("data.split", "object", "how sides were decided"),
    ("data.encoding", "object", "character encoding of each source"),
    (
        "details",
        "object",
        "the task's own findings on held-out rows of the winner: confusion matrix, mistakes",
    ),
    ("advice", "list", "what to do next, in words"),
    ("prices", "object", "date and source of each price"),
    ("hardware", "object", "machine, cores and threads of the measurements"),
    ("seed", "number", "of every random choice"),
)


@dataclass(frozen=True)
class Findings:
    """What a climb ended with."""

    trials: Sequence[Mapping[str, Any]]
    winner: str | None
    certificate: Mapping[str, Any] | None
    cleared: bool


def report(
    product: Product,
    data: Mapping[str, Any],
    found: Findings,
    prices: Mapping[str, str],
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """Return report.json as a value; `KEYS` documents it."""
    winner = next((t for t in found.trials if t["rung"] == found.winner), None)
    shown = ("rows", "used", "train", "certification", "quarantined", "labels", "split", "encoding")
    hidden = {"details", "version", "measured"}
    return {
        "rung_version": machine["rung_version"],
        "product": product.name,
        "task": product.task,
        "metric": product.bar[0].metric,
        "bar": [condition.model_dump(exclude_none=True) for condition in product.bar],
        "cleared": found.cleared,
        "winner": found.winner,
        "certificate": dict(found.certificate) if found.certificate else None,
        "trials": [{k: v for k, v in t.items() if k not in hidden} for t in found.trials],
        "data": {key: data[key] for key in shown},
        "details": dict(winner["details"]) if winner else {},
        "advice": advice(product, data, found),
        "prices": dict(prices),
        "hardware": {k: v for k, v in machine.items() if k != "rung_version"},
        "seed": product.seed,
    }


def advice(product: Product, data: Mapping[str, Any], found: Findings) -> list[str]:
    """Return what to do next, most useful first."""
    lines: list[str] = []
    tried = [t for t in found.trials if t["scores"]]
    condition = product.bar[0]
    best = max(tried, key=lambda t: _towards(condition, t), default=None)
    if not found.cleared and best is not None:
        lines += _refusal(product, data, found, condition, best)
    if (
        found.cleared
        and found.trials
        and found.winner == found.trials[0]["rung"]
        and found.trials[0]["is_floor"]
    ):
        lines.append(
            "The floor, which answers without reading, clears your bar: the bar does not measure what you want. "
            "Use macro_f1, or f1:<label> of the label that matters."
        )
    left_out = sum(data["quarantined"].values())
    if left_out > 0.1 * data["rows"]:
        reason, count = max(data["quarantined"].items(), key=lambda item: item[1])
        lines.append(
            f"{left_out} of {data['rows']} rows are in quarantine, most for '{reason}' ({count}): see data/quarantine.jsonl."
        )
    thin = [label for label, count in data["labels"].items() if count < 20]
    if thin:
        named = ", ".join(f"'{label}'" for label in thin[:5]) + (" ..." if len(thin) > 5 else "")
        lines.append(
            f"{len(thin)} labels have fewer than 20 training rows ({named}): collect more of these, or merge them."
        )
    return lines


def _refusal(
    product: Product, data: Mapping[str, Any], found: Findings, condition: Condition, best: Mapping[str, Any]
) -> list[str]:
    score = best["scores"].get(condition.metric)
    wanted = (
        f"{condition.metric} {'at least' if condition.higher_is_better else 'at most'} {condition.level:g}"
    )
    if data["certification"] == 0:
        return [
            f"No certificate was asked for (certify.fraction: 0): {best['rung']} is estimated at {condition.metric} {score:.3f}."
        ]
    lines = [f"No rung clears {wanted} here; the best, {best['rung']}, is estimated at {score:.3f}."]
    over = [line for t in found.trials for line in t["over_limits"]]
    if over:
        lines.append(f"Limits stood in the way: {'; '.join(dict.fromkeys(over))}.")
    if condition.higher_is_better and condition.level < 1.0 and score > condition.level:
        needed = rows_needed(score, condition.level, (1.0 - condition.confidence) / 2.0)
        missing = needed - data["certification"] if needed else None
        if missing and missing > 0:
            lines.append(
                f"A certificate at {condition.level:g} with {condition.confidence:.0%} confidence needs about {needed} "
                f"never looked-at certification rows at that quality; there are {data['certification']}. Collect about {needed} fresh labelled "
                "rows and pass them as `certify: {path: ...}`, or keep adding rows to the data until as many certify."
            )
        elif needed is None:
            lines.append(
                "The estimate is too close to the bar for any realistic number of certification rows."
            )
    side, end = ("lower", 0) if condition.higher_is_better else ("raise", 1)
    confidence_fix = f"{side} the bar (what could be certified today is estimated near {max(best['interval'][end], 0):.2f})"
    lines.append(
        f"What helps: more labelled rows, above all of the mistakes in the report; labels checked for errors; or {confidence_fix}."
    )
    return lines


def _towards(condition: Condition, trial: Mapping[str, Any]) -> float:
    score = trial["scores"].get(condition.metric, float("-inf"))
    return float(score if condition.higher_is_better else -score)
