"""Cost and business value of a served product, from its logged predictions.

Every figure states its source: prices are dated list prices, token counts are estimated from the readable
inputs, and the accuracy is audited, certified or estimated, with its interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rung.core.manifest import Manifest
from rung.core.prices import BUSY_SHARE, Prices, tokens
from rung.core.spec.value import ValueSpec
from rung.monitoring.drift.mean_test import chernoff_interval
from rung.monitoring.drift.reference import DriftReference
from rung.monitoring.drift_monitor import is_error

if TYPE_CHECKING:
    from rung.journal.reader import LoggedFeedback, LoggedPrediction

FORMAT = 1
_LEAST_DAYS = 1 / 24
DAYS_PER_MONTH = 30
_CONFIDENCE = 0.95
# With fewer audited rows the certificate says more.
_MIN_AUDITED_ROWS = 30


@dataclass
class UsageTotals:
    """Totals over served rows. readable_rows: rows whose input can be read; tokens: of these."""

    rows: int = 0
    cost_usd: float = 0.0
    first_at: float = math.inf
    last_at: float = -math.inf
    readable_rows: int = 0
    tokens: float = 0.0

    def add(self, rows: Iterable[LoggedPrediction]) -> None:
        """Add rows to the totals."""
        for row in rows:
            self.rows += 1
            self.cost_usd += row.price_usd
            self.first_at, self.last_at = min(self.first_at, row.at), max(self.last_at, row.at)
            if row.input is not None:
                self.readable_rows += 1
                self.tokens += tokens([_as_text(row.input)])

    @property
    def days(self) -> float:
        """Return the time from the first row to the last, in days; 0.0 with fewer than two rows."""
        return max(self.last_at - self.first_at, 0.0) / 86_400 if self.rows > 1 else 0.0

    @property
    def rows_per_month(self) -> float | None:
        """Return the rows of 30 days at the rate so far; None for less than an hour, which says nothing of a month."""
        return (self.rows - 1) / self.days * DAYS_PER_MONTH if self.days >= _LEAST_DAYS else None


def accuracy_estimate(
    feedback: Sequence[LoggedFeedback], manifest: Manifest, reference: DriftReference | None
) -> dict[str, Any] | None:
    """Return the accuracy as source, low, high, rows and confidence; None where nothing is known.

    The source is `audit`: random audit rows, 95 % Chernoff interval; `certificate`: at least its bound; or
    `held_out`: cross-validated training rows, 95 % interval, an estimate.
    """
    if reference is not None:
        output = manifest.schema.outputs[0].name
        audited = [not is_error(item, reference, output) for item in feedback if item.source == "audit"]
        if len(audited) >= _MIN_AUDITED_ROWS:
            low, high = chernoff_interval(sum(audited) / len(audited), len(audited), 1 - _CONFIDENCE)
            return {
                "source": "audit",
                "low": low,
                "high": high,
                "rows": len(audited),
                "confidence": _CONFIDENCE,
            }
    certificate = manifest.certificate or {}
    for condition in certificate.get("conditions", ()):
        if condition["metric"] == "accuracy":
            return {
                "source": "certificate", "low": condition["bound"], "high": 1.0, "rows": certificate["units"],
                "confidence": certificate["confidence"],
            }  # fmt: skip
    if reference is not None and reference.predictions.rows and reference.predictions.label_counts:
        answers = reference.predictions
        low, high = chernoff_interval(1 - answers.n_errors / answers.rows, answers.rows, 1 - _CONFIDENCE)
        return {
            "source": "held_out",
            "low": low,
            "high": high,
            "rows": answers.rows,
            "confidence": _CONFIDENCE,
        }
    return None


def value_report(
    manifest: Manifest,
    usage: UsageTotals,
    prices: Prices,
    spec: ValueSpec | None,
    accuracy: Mapping[str, Any] | None,
    baseline: float | None,
) -> dict[str, Any]:
    """Return the report of costs and value. baseline: the accuracy of always giving the same answer.

    The monthly cost is that of CPU cores which run all month and are busy at most 30 % of the time, not that
    of the seconds that answers took. Amounts are US dollars.
    """
    month = usage.rows_per_month
    per_request = usage.cost_usd / usage.rows if usage.rows else 0.0
    fixed = spec.fixed_per_month if spec else 0.0
    found: dict[str, Any] = {
        "format": FORMAT,
        "model": manifest.name,
        "rows": usage.rows,
        "first_at": usage.first_at if usage.rows else None,
        "last_at": usage.last_at if usage.rows else None,
        "days": round(usage.days, 4),
        "per_month": None if month is None else round(month, 1),
        "usd_spent": usage.cost_usd,
        "usd_per_request": per_request,
        "usd_per_core_month": round(prices.usd_per_cpu_hour * 24 * DAYS_PER_MONTH, 6),
        "busy_share": BUSY_SHARE,
        "fixed_per_month": fixed,
        "prices": dict(prices.notes),
        "right": dict(accuracy) if accuracy else None,
        "floor": baseline,
        "value": None,
        "llm": None,
    }
    if month is not None:
        found["usd_per_month"] = monthly_cost(found, month)
    if spec and accuracy and (spec.per_correct or spec.per_error):
        found["value"] = _value_of_answers(found, spec, accuracy, month, baseline)
    if prices.llm and usage.readable_rows:
        found["llm"] = _llm(found, prices, usage, month)
    return found


def monthly_cost(found: Mapping[str, Any], requests: float) -> float:
    """Return the cost of a month with this number of requests: cores that run all month, plus fixed costs."""
    core = found["usd_per_core_month"]
    cores = math.ceil(requests * found["usd_per_request"] / (core * BUSY_SHARE) - 1e-9) if core else 0
    return float(max(cores, 1) * core + found["fixed_per_month"])


def break_even_requests(found: Mapping[str, Any], usd_per_request: float) -> int | None:
    """Return the fewest requests a month whose value, `usd_per_request` each, covers the monthly cost.

    None if none do.
    """
    if usd_per_request <= 0:
        return None
    core, own = float(found["usd_per_core_month"]), float(found["usd_per_request"])
    requests = math.ceil((core + float(found["fixed_per_month"])) / usd_per_request - 1e-9)
    # With more than one core, each must earn its own cost.
    if monthly_cost(found, requests) > requests * usd_per_request + 1e-9:
        gain = usd_per_request - own / BUSY_SHARE
        if gain <= 0:
            return None
        requests = math.ceil((core + float(found["fixed_per_month"])) / gain - 1e-9)
    return int(max(requests, 1))


def _value_of_answers(
    found: Mapping[str, Any],
    spec: ValueSpec,
    accuracy: Mapping[str, Any],
    month: float | None,
    baseline: float | None,
) -> dict[str, Any]:
    """Return the value of answers at both ends of the accuracy interval."""
    ends = sorted(
        rate * spec.per_correct + (1 - rate) * spec.per_error for rate in (accuracy["low"], accuracy["high"])
    )
    value: dict[str, Any] = {
        "per_correct": spec.per_correct,
        "per_error": spec.per_error,
        "usd_per_request": ends,
        "usd_so_far": [end * found["rows"] for end in ends],
        "pays_from": break_even_requests(found, ends[0]),
    }
    if month is not None:
        value["usd_per_month"] = [end * month for end in ends]
        value["net_per_month"] = [end * month - monthly_cost(found, month) for end in ends]
        if baseline is not None:
            avoided = [max(accuracy[end] - baseline, 0.0) * month for end in ("low", "high")]
            value["errors_avoided_per_month"] = avoided
    return value


def _llm(found: Mapping[str, Any], prices: Prices, usage: UsageTotals, month: float | None) -> dict[str, Any]:
    """Return the cost of the same answers from large language models at list prices."""
    llm = prices.llm
    assert llm is not None  # noqa: S101 - asked for where there is one
    each = usage.tokens / usage.readable_rows
    models = []
    for name in llm.models:
        usd = llm.usd_per_1k(name, each) / 1_000
        models.append(
            {
                "name": name,
                "usd_per_request": usd,
                "usd_so_far": usd * usage.rows,
                "usd_per_month": None if month is None else usd * month,
                "cheaper_from": break_even_requests(found, usd),
            }
        )
    return {
        "date": llm.date,
        "source": llm.source,
        "input_tokens": round(each, 1),
        "readable": usage.readable_rows,
        "prompt_tokens": llm.prompt_tokens,
        "answer_tokens": llm.answer_tokens,
        "models": models,
    }


def _as_text(values: Mapping[str, Any]) -> str:
    """Return an input as text of a prompt: a single field as it is, several with their names."""
    if len(values) == 1:
        return str(next(iter(values.values())))
    return "\n".join(f"{name}: {'' if cell is None else cell}" for name, cell in values.items())
