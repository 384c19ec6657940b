"""How a rung lost a race on a part of the rows, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import metric_name, percent, say


def raced_out_text(lost: Mapping[str, Any], lang: str) -> str:
    """Return the reason: its score with the standard error, on how many rows, and the rival's on the same rows."""
    clear, lead = percent(lost["clear"]), percent(lost["lead"])
    return say(
        "race.lost",
        lang,
        metric=metric_name(lost["metric"], lang),
        clear=clear,
        lead=lead,
        **race_values(lost),
    )


def race_lines(report: Mapping[str, Any], lang: str) -> list[str]:
    """Return a sentence for each rung of a report that lost a race."""
    return [
        say("race.board", lang, rung=lost["rung"], why=raced_out_text(lost, lang))
        for lost in report.get("raced_out", ())
    ]


def race_values(race: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a race for messages."""
    return {
        "score": f"{race['score']:.3f}",
        "error": f"{race['error']:.3f}",
        "rows": race["rows"],
        "rival": race["rival"],
        "rival_score": f"{race['rival_score']:.3f}",
    }
