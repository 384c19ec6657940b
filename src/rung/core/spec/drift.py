"""The section of a spec that says when a served product is to be called drifted, and who is told: `drift`."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from rung.core.errors import RungError
from rung.core.spec.data import Section

_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


def _address(value: str) -> str:
    if _VARIABLE.fullmatch(value):
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(
            "is no address: write https://... or env:NAME for one that stands in the environment"
        )
    return value


class DriftSpec(Section):
    """When what is served no longer looks like what the model was built on. No part of a run's identity."""

    false_alarms: float = Field(
        default=0.01,
        ge=1e-6,
        le=0.5,
        description="chance that a period without drift, however long, ever alarms; a period ends when an alarm is acknowledged",
    )
    tolerance: float = Field(
        default=0.05,
        ge=0.0,
        le=0.5,
        description="how far shares of answers may be from those on held-out rows before that is drift",
    )
    webhook: str | None = Field(
        default=None,
        description="address that an alarm is sent to as JSON; `env:NAME` takes it from the environment",
    )
    seconds: float = Field(
        default=10, gt=0, le=120, description="longest that one attempt to send an alarm takes"
    )

    @field_validator("webhook")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return None if value is None else _address(value)

    def address(self) -> str | None:
        """Return where alarms go; raises RungError when the variable that holds it is not set or holds none."""
        named = _VARIABLE.fullmatch(self.webhook or "")
        if not named:
            return self.webhook
        value = os.environ.get(named[1], "")
        try:
            return _address(value)
        except ValueError:
            fix = f"export {named[1]}=https://..., or take `webhook` out."
            raise RungError(f"the variable {named[1]} holds no address", "drift.webhook", fix) from None
