"""Results of a challenger in shadow, from the journal: agreement with the champion, errors, time and price."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from rung.journal.reader import answer_of
from rung.journal.schema import PREDICTIONS, SHADOWS
from rung.journal.writer import Journal
from rung.serving.shadow_state import Shadow

# Numbers agree if they differ by at most this share of the standard deviation of the champion's answers.
_TOLERANCE = 0.1


@dataclass(frozen=True)
class ShadowResults:
    """rows: rows sent to the challenger, errors included. agreement: share of the answered rows with the same answer; for
    numbers, within a tenth of the standard deviation of the champion's answers. skipped: requests the full queue refused.

    compute_ms: CPU time per row, median and 95th percentile. usd_per_1k: of the challenger and of the champion.
    """

    rows: int = 0
    errors: Mapping[str, int] | None = None
    agreement: float | None = None
    skipped: int = 0
    compute_ms_p50: float = 0.0
    compute_ms_p95: float = 0.0
    usd_per_1k: float = 0.0
    champion_usd_per_1k: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the results for JSON."""
        return {**asdict(self), "errors": dict(self.errors or {})}


def read_results(journal: Journal, shadow: Shadow) -> ShadowResults:
    """Return the results of a challenger since its shadow run began."""
    s, p = SHADOWS.c, PREDICTIONS.c
    wanted = (
        select(s.output, s.error, s.compute_ms, s.price_usd, s.skipped, p.output.label("champion_output"), p.price_usd.label("champion_price"))
        .join(PREDICTIONS, p.id == s.prediction)
        .where(s.version == shadow.version, s.at >= shadow.since, p.version == shadow.champion)
    )  # fmt: skip

    def query(connection: Connection) -> Sequence[Any]:
        return connection.execute(wanted).all()

    rows: Sequence[Any] = journal.read(query)
    if not rows:
        return ShadowResults()
    answered = [row for row in rows if row.output is not None]
    pairs = [_answers(json.loads(row.output), json.loads(row.champion_output)) for row in answered]
    compute = np.array([row.compute_ms for row in answered] or [0.0])
    return ShadowResults(
        len(rows),
        dict(Counter(row.error for row in rows if row.error)),
        _agreement(pairs),
        sum(row.skipped for row in rows),
        round(float(np.median(compute)), 4),
        round(float(np.quantile(compute, 0.95)), 4),
        1000.0 * float(np.mean([row.price_usd for row in answered] or [0.0])),
        1000.0 * float(np.mean([row.champion_price for row in rows])),
    )


def _answers(challenger: dict[str, Any], champion: dict[str, Any]) -> tuple[Any, Any]:
    """Return what is compared. Answers that derive from the input are not stored; whether they were the same is."""
    if "same" in challenger and answer_of(challenger) is None:
        return challenger["same"], True
    return answer_of(challenger), answer_of(champion)


def _agreement(pairs: Sequence[tuple[Any, Any]]) -> float | None:
    if not pairs:
        return None
    if all(
        isinstance(value, int | float) and not isinstance(value, bool) for pair in pairs for value in pair
    ):
        challenger, champion = np.array(pairs, dtype=np.float64).T
        return round(float(np.mean(np.abs(challenger - champion) <= _TOLERANCE * champion.std() + 1e-12)), 6)
    return round(float(np.mean([challenger == champion for challenger, champion in pairs])), 6)
