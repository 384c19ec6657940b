"""What a build says to do next, most useful first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rung.building.climb_findings import STOPPED, Findings, stopping_keys
from rung.core import registry
from rung.core.messages import LANGUAGES, join_sentences, listed, money, say
from rung.core.spec.bar import Condition
from rung.core.spec.product import Product
from rung.core.stats.confidence_bounds import rows_needed

# So much better is worth a word, whatever it costs: a point.
_CLEARLY = 0.01


def is_unasked(data: Mapping[str, Any]) -> bool:
    """Return whether no certificate was asked for; rows that wait for a label are asked for."""
    return data["certification"] == 0 and not (data.get("audit") or {}).get("wanted")


def advice_items(product: Product, data: Mapping[str, Any], found: Findings) -> list[dict[str, Any]]:
    """Return what to do next, most useful first: the key of a message below `advice` and its values."""
    items: list[dict[str, Any]] = []
    stopped = stopping_keys(data.get("findings", ()))
    if stopped:
        items.append(_item("stopped", n=len(stopped), keys=", ".join(stopped)))
    tried = [t for t in found.trials if t["scores"]]
    condition = product.bar[0]
    best = max(tried, key=lambda t: _towards(condition, t), default=None)
    if not found.cleared and best is not None and not any(t["status"] == STOPPED for t in found.trials):
        items += _refusal(data, found, condition, best)
    first = found.trials[0] if found.trials else None
    if first and found.cleared and found.winner == first["rung"] and first["is_floor"]:
        items.append(_item("floor_written" if registry.task(product.task).takes_writing else "floor"))
    elif found.cleared:
        items += _better_and_dearer(found, condition)
    if found.cascade:
        items.append(_cascade(condition, found.cascade))
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
        more = " ..." if len(thin) > 5 else ""
        named = {"en": listed((f"'{label}'" for label in thin[:5]), "en") + more}
        named["zh"] = listed((f"“{label}”" for label in thin[:5]), "zh") + more
        items.append(_item("thin", n=len(thin), named=named))
    return items


def _better_and_dearer(found: Findings, condition: Condition) -> list[dict[str, Any]]:
    """Return what more quality would cost: a dearer rung that was measured clearly better, and those expected to be."""
    metric = condition.metric
    won = next((t for t in found.trials if t["rung"] == found.winner), None)
    if won is None or not condition.higher_is_better or metric not in won["scores"]:
        return []
    own = {"winner": won["rung"], "metric": metric, "own_score": f"{won['scores'][metric]:.3f}"}
    own |= {"own_price": _price(won["usd_per_1k"])}
    better = [
        t
        for t in found.trials
        if t["status"] in {"not needed", "not certified"}
        and t["scores"].get(metric, 0.0) >= won["scores"][metric] + _CLEARLY
        and t["usd_per_1k"] > won["usd_per_1k"]
    ]
    if better:
        best = max(better, key=lambda t: t["scores"][metric])
        told = {
            "rung": best["rung"],
            "score": f"{best['scores'][metric]:.3f}",
            "price": _price(best["usd_per_1k"]),
        }
        return [_item("better_measured", **own, **told)]
    hoped = [
        item
        for item in found.unneeded
        if item["metric"] == metric and item["expected"][0] >= won["scores"][metric] + _CLEARLY
    ]
    named = {lang: listed((_with_price(item, lang) for item in hoped[:3]), lang) for lang in LANGUAGES}
    return [_item("better_planned", n=len(hoped), named=named, **own)] if hoped else []


def _price(usd_per_1k: float) -> dict[str, str]:
    return {lang: money(usd_per_1k * 1000, lang) for lang in LANGUAGES}


def _with_price(item: Mapping[str, Any], lang: str) -> str:
    low, high = (f"{score:.3g}" for score in item["expected"])
    price = money(item["usd_per_1k"] * 1000, lang)
    return say("advice.expected_price", lang, rung=item["rung"], low=low, high=high, price=price)


def _cascade(condition: Condition, proposal: Mapping[str, Any]) -> dict[str, Any]:
    """Return the proposal of a cascade, with what it is expected to be worth."""
    usd, dear = proposal["usd_per_1k"], proposal["dear"]["usd_per_1k"]
    return _item(
        "cascade",
        cheap=proposal["rungs"][0], dear=proposal["rungs"][1], metric=condition.metric, handed=f"{proposal['handed_on']:.0%}",
        score=f"{proposal['score']:.3f}", dear_score=f"{proposal['dear']['score']:.3f}", share=f"{usd / dear:.0%}",
        yaml=proposal["yaml"],
    )  # fmt: skip


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
    items += _failed_look(data, condition, best)
    items += _not_tried(found, condition, score)
    over = [line for t in found.trials for line in t["over_limits"]]
    if over:
        items.append(_item("limits", over="; ".join(dict.fromkeys(over))))
    if condition.higher_is_better and condition.level < 1.0 and score > condition.level:
        items += _more_to_certify(data, condition, best)
    items += _look_anyway(condition, best)
    near = best.get("certifiable")
    if near is None or condition.met_by(near) or _is_beaten(near, found, condition):
        items.append(_item("helps"))
    else:
        side = "lower" if condition.higher_is_better else "raise"
        items.append(_item(f"helps_{side}", near=f"{max(near, 0):g}"))
    return items


def _is_beaten(level: float, found: Findings, condition: Condition) -> bool:
    """Return whether the baseline, which ignores the input, does better than a level: a bar there would say nothing."""
    floor = next((t for t in found.trials if t["is_floor"] and t["scores"]), None)
    if floor is None or condition.metric not in floor["scores"]:
        return False
    score = floor["scores"][condition.metric]
    return bool(score >= level if condition.higher_is_better else score <= level)


def _not_tried(found: Findings, condition: Condition, score: float) -> list[dict[str, Any]]:
    """Return the untried rungs that may do better: fetching weights is cheaper than labelling rows."""
    sign = 1 if condition.higher_is_better else -1
    better = [
        item
        for item in found.untried
        if item["expected"] is None
        or item["metric"] != condition.metric
        or sign * (item["expected"][1] if sign > 0 else item["expected"][0]) > sign * score
    ]
    named = {lang: listed((_with_expected(item, lang) for item in better[:4]), lang) for lang in LANGUAGES}
    fixes = {
        lang: join_sentences(lang, *dict.fromkeys(item["fix"][lang] for item in better[:4]))
        for lang in LANGUAGES
    }
    return [_item("untried", n=len(better), named=named, fix=fixes)] if better else []


def _with_expected(item: Mapping[str, Any], lang: str) -> str:
    if not item["expected"]:
        return str(item["rung"])
    low, high = (f"{score:g}" for score in item["expected"])
    return say("advice.expected", lang, rung=item["rung"], low=low, high=high)


def _failed_look(
    data: Mapping[str, Any], condition: Condition, best: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what a look that failed means. Its numbers are of training rows: of the look, only that it failed is known."""
    if best["status"] != "failed certification":
        return []
    score, here = best["scores"][condition.metric], data["certification"]
    needed = None
    if condition.higher_is_better and score > condition.level:
        needed = rows_needed(score, condition.level, (1.0 - condition.confidence) / 2.0)
    told = {
        "rung": best["rung"], "metric": condition.metric, "level": f"{condition.level:g}", "score": f"{score:.3f}", "here": here,
    }  # fmt: skip
    if needed is None:
        return [_item("failed_look", **told)]
    return [_item("failed_look_rows", **told, needed=max(needed, here))]


def _look_anyway(condition: Condition, best: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the chance of a look that was not taken, and what it costs."""
    if best["status"] != "not certified" or best.get("chance") is None:
        return []
    asked = {"level": f"{condition.level:g}", "rung": best["rung"], "chance": f"{best['chance']:.0%}"}
    return [_item("look_anyway", **asked)]


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
