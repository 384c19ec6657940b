"""Prior expectations of a rung's quality by task and number of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rung.core.messages import LANGUAGES, day, localized, say
from rung.core.package_data import packaged_table


def prior_source(task: str) -> Mapping[str, str]:
    """Return date and source of a task's prior in each language; nothing when there is none."""
    found = packaged_table("priors").get(task)
    if not found:
        return {}
    date = str(found["date"])
    return {
        lang: say("ladder.source", lang, date=day(date, lang), source=localized(lang, found["source"]))
        for lang in LANGUAGES
    }


def expected(
    task: str, names: Sequence[str], rows_per_label: float, floor: float
) -> tuple[float, float] | None:
    """Return the range a score is expected in, between rows of the table by their logarithm; None without a prior.

    names: of the rung and of its family; the first that has a prior counts. floor: what answering without reading
    scores on the same metric.
    """
    models = packaged_table("priors").get(task, {}).get("models", {})
    known = next((models[name] for name in names if models.get(name)), None)
    if not known:
        return None
    at = sorted(known)
    wanted = min(max(rows_per_label, at[0]), at[-1])
    above = next(i for i, rows in enumerate(at) if rows >= wanted)
    below = max(above - 1, 0)
    span = math.log(at[above] / at[below])
    part = math.log(wanted / at[below]) / span if span else 0.0
    low, high = ((1 - part) * a + part * b for a, b in zip(known[at[below]], known[at[above]], strict=True))
    return round(floor + low * (1 - floor), 3), round(floor + high * (1 - floor), 3)
