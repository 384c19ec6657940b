"""What tokens cost, from a dated file or from the user."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rung.core.errors import did_you_mean
from rung.runtime.llm.endpoint import Endpoint
from rung.runtime.llm.errors import LlmError

_FILE = Path(__file__).with_name("model_prices.yaml")
_WARN_DAYS = 90


@dataclass(frozen=True)
class TokenPrice:
    """US dollars per million tokens. date, source: where it comes from. retires: announced last day, "" if unknown."""

    usd_in: float
    usd_out: float
    date: str = ""
    source: str = ""
    retires: str = ""

    def usd(self, tokens_in: int, tokens_out: int) -> float:
        """Return the price of a call."""
        return (tokens_in * self.usd_in + tokens_out * self.usd_out) / 1e6

    def retirement_warning(self, today: dt.date | None = None) -> str:
        """Return a sentence when the model is retired or soon will be, else ""."""
        if not self.retires:
            return ""
        left = (dt.date.fromisoformat(self.retires) - (today or dt.date.today())).days
        if left > _WARN_DAYS:
            return ""
        return (
            f"The model was retired on {self.retires}."
            if left < 0
            else f"The model retires on {self.retires}."
        )


def token_price(endpoint: Endpoint, usd_in: float | None = None, usd_out: float | None = None) -> TokenPrice:
    """Return the price of a model: the user's, else that of the packaged file, else 0 on this machine.

    Raises LlmError for a model elsewhere whose price nobody knows: no call is made at an unknown price.
    """
    if (usd_in is None) != (usd_out is None):
        raise LlmError(
            "only one of usd_in and usd_out is given", "usd_in, usd_out", "Give both, per million tokens."
        )
    if usd_in is not None and usd_out is not None:
        if not (0 <= usd_in < 1e6 and 0 <= usd_out < 1e6):
            raise LlmError(
                f"not a price: {usd_in:g}, {usd_out:g}", "usd_in, usd_out", "US dollars per million tokens."
            )
        return TokenPrice(usd_in, usd_out, source="your own figures")
    if endpoint.is_loopback:
        return TokenPrice(0.0, 0.0, source="runs on this machine: its time is measured instead")
    known = _packaged()
    if endpoint.model in known:
        return known[endpoint.model]
    fix = f"Give usd_in and usd_out, US dollars per million tokens. {did_you_mean(endpoint.model, known)}"
    raise LlmError(f"the price of the model '{endpoint.model}' is not known", "usd_in, usd_out", fix)


@cache
def _packaged() -> dict[str, TokenPrice]:
    raw: Any = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {
        str(item["model"]): TokenPrice(
            float(item["usd_in"]),
            float(item["usd_out"]),
            str(raw["date"]),
            str(raw["source"]),
            str(item.get("retires", "")),
        )
        for item in raw["models"]
    }
