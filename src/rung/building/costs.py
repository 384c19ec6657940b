"""What serving costs and what a large language model would charge for the same answers, from dated list prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.prices import BUSY_SHARE, Prices, tokens


def costs(prices: Prices, sample: Sequence[str], trial: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report's table of costs is made of.

    sample: texts of training rows; () where rows are media, which a price by tokens of text says nothing of. trial: of the winner, with its measured prices of 1,000 answers.
    extra_usd_per_1k: what answers cost beside the machine that is always on.
    """
    per_text = round(tokens(sample), 1)
    found: dict[str, Any] = {
        "usd_per_1k": trial["usd_per_1k"],
        "extra_usd_per_1k": round(trial["price"]["gpu"] + trial["price"]["service"], 9),
        "wh_per_1k": trial["wh_per_1k"],
        "usd_per_core_month": round(prices.usd_per_cpu_hour * 24 * 30, 6),
        "busy_share": BUSY_SHARE,
        "input_tokens": per_text,
        "sample_rows": len(sample),
        "llm": None,
    }
    if prices.llm and sample:
        found["llm"] = {
            "date": prices.llm.date,
            "source": prices.llm.source,
            "prompt_tokens": prices.llm.prompt_tokens,
            "answer_tokens": prices.llm.answer_tokens,
            "models": [
                {"name": name, "usd_per_1k": round(prices.llm.usd_per_1k(name, per_text), 6)}
                for name in prices.llm.models
            ],
        }
    return found
