"""The section `drift`: drift detection and its webhook."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from rung.core.errors import RungError
from rung.core.spec.data import Section

_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


def _parse_address(value: str) -> str:
    if _VARIABLE.fullmatch(value):
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an address: write https://... or env:NAME to read it from the environment")
    return value


class DriftSpec(Section):
    """Drift detection on served data. Not part of a run's fingerprint."""

    false_alarms: float = Field(
        default=0.01,
        ge=1e-6,
        le=0.5,
        description="probability of any false alarm in a period, however long; a period ends when an alarm is acknowledged",
    )
    tolerance: float = Field(
        default=0.05,
        ge=0.0,
        le=0.5,
        description="tolerated difference between label shares in served predictions and on held-out rows",
    )
    webhook: str | None = Field(
        default=None,
        description="URL that alarms are sent to as JSON; `env:NAME` reads it from the environment",
    )
    seconds: float = Field(
        default=10, gt=0, le=120, description="timeout of one attempt to send an alarm, seconds"
    )

    @field_validator("webhook")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return None if value is None else _parse_address(value)

    def address(self) -> str | None:
        """Return the webhook's URL; raises RungError if the environment variable is not set or not a URL."""
        named = _VARIABLE.fullmatch(self.webhook or "")
        if not named:
            return self.webhook
        value = os.environ.get(named[1], "")
        try:
            return _parse_address(value)
        except ValueError:
            fix = f"export {named[1]}=https://..., or remove `webhook`."
            raise RungError(f"the variable {named[1]} holds no address", "drift.webhook", fix) from None
