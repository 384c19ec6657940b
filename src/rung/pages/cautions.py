"""What a certificate must say of its rows beyond its claim: relatives in training, rows that are back in another spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.messages import say


def cautions(facts: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], lang: str) -> list[str]:
    """Return the sentences, none where the rows need none. facts: of the prepared data; findings: as dicts."""
    found = [
        say("certificate.related", lang, **{key: finding["values"][key] for key in _SHOWN})
        for finding in findings
        if finding["check"] == "related_rows"
    ]
    again = facts.get("respelled")
    if again:
        found.append(say("certificate.respelled", lang, share=f"{again['share']:.0%}", looks=again["looks"]))
    return found


_SHOWN = ("metric", "plain", "clustered", "clustered_bound")
