"""Decide on a challenger that serves in shadow: promote it, wait, or reject it.

tests passed ─> shadow ─> enough rows, no errors, within limits ─> promote
                 │
                 └─> an error, a limit broken, too little agreement, another champion ─> kept
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.manifest import read_manifest
from rung.core.messages import say
from rung.serving.promotion import Change, end_shadow, promote
from rung.serving.shadow_state import Shadow, read_shadows

if TYPE_CHECKING:
    from rung.serving.shadow_results import ShadowResults
    from rung.workflows.review import ServedProduct

WAIT, SERVE, REJECT = "wait", "serve", "go"


@dataclass(frozen=True)
class ShadowStatus:
    """The status of a challenger in shadow.

    verdict: wait, serve or go. reasons: as in `workflows.improve.Improvement`.
    """

    shadow: Shadow
    results: ShadowResults
    verdict: str
    reasons: tuple[tuple[str, Mapping[str, Any]], ...]

    def facts(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        own = {"version": self.shadow.version, "bundle": self.shadow.bundle, "since": self.shadow.since}
        return {**own, "wanted": self.shadow.rows, **self.results.as_dict()}


def describe(facts: Mapping[str, Any], lang: str) -> str:
    """Return the figures of `ShadowStatus.facts` as one line."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(facts["since"]))
    share = facts["agreement"]
    return say(
        "improve.shadow", lang, when=when, version=facts["version"][:12], rows=facts["rows"], wanted=facts["wanted"],
        agree="-" if share is None else f"{share:.1%}", errors=sum(facts["errors"].values()),
        ms=f"{facts['compute_ms_p50']:.3g}", p95=f"{facts['compute_ms_p95']:.3g}", usd=f"{facts['usd_per_1k']:.3g}",
        his_usd=f"{facts['champion_usd_per_1k']:.3g}", skipped=facts["skipped"],
    )  # fmt: skip


def shadow_status(served: ServedProduct) -> ShadowStatus | None:
    """Return the status of a product's challenger in shadow; None where there is none."""
    from rung.serving.shadow_results import read_results

    shadow = read_shadows(served.folder).get(served.product.name)
    if shadow is None:
        return None
    results = read_results(served.journal, shadow)
    reasons = _rejection_reasons(served, shadow, results)
    values = _summary_values(results)
    if reasons:
        return ShadowStatus(shadow, results, REJECT, tuple(reasons))
    if results.rows < shadow.rows:
        return ShadowStatus(shadow, results, WAIT, (("shadow_waits", {**values, "wanted": shadow.rows}),))
    return ShadowStatus(shadow, results, SERVE, (("shadow_passed", values),))


def apply_verdict(served: ServedProduct, found: ShadowStatus, who: str, why: str) -> Change | None:
    """Promote or reject the challenger; return the entry of the history, None for the verdict wait."""
    name, shadow = served.product.name, found.shadow
    if found.verdict == SERVE:
        return promote(served.folder, name, Path(shadow.bundle), served.champion, who, why)
    if found.verdict == REJECT:
        return end_shadow(served.folder, name, shadow, who, why)
    return None


def _rejection_reasons(
    served: ServedProduct, shadow: Shadow, results: ShadowResults
) -> list[tuple[str, dict[str, Any]]]:
    """Return why a challenger must be rejected. Limits and agreement count once there are enough rows."""
    found: list[tuple[str, dict[str, Any]]] = []
    champion = served.champion
    if champion is None or read_manifest(champion).version != shadow.champion:
        return [("shadow_other_champion", {"version": shadow.champion[:12]})]
    if results.errors:
        kinds = ", ".join(f"{kind} {n}" for kind, n in results.errors.items())
        return [("shadow_errors", {"n": sum(results.errors.values()), "rows": results.rows, "kinds": kinds})]
    if results.rows < shadow.rows:
        return []
    limits = served.product.limits
    measured = {"latency_ms": results.compute_ms_p95, "usd_per_1k": results.usd_per_1k}
    for name, value in measured.items():
        limit = getattr(limits, name)
        if limit is not None and value > limit:
            found.append(("shadow_limit", {"limit": name, "value": round(value, 6), "most": limit}))
    if results.agreement is not None and results.agreement < shadow.agreement:
        values = {"share": f"{results.agreement:.1%}", "least": f"{shadow.agreement:.1%}"}
        found.append(("shadow_agreement", values))
    return found


def _summary_values(results: ShadowResults) -> dict[str, Any]:
    return {
        "n": results.rows,
        "agree": "-" if results.agreement is None else f"{results.agreement:.1%}",
        "ms": f"{results.compute_ms_p50:.3g}",
        "usd": f"{results.usd_per_1k:.3g}",
        "his_usd": f"{results.champion_usd_per_1k:.3g}",
        "skipped": results.skipped,
    }
