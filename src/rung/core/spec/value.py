"""The section `value`: value and fixed costs of predictions."""

from __future__ import annotations

from pydantic import Field

from rung.core.spec.data import Section


class ValueSpec(Section):
    """Value of predictions in US dollars, for `rung value`. Not part of a run's fingerprint."""

    per_correct: float = Field(default=0.0, ge=-1e9, le=1e9, description="US dollars per correct prediction")
    per_error: float = Field(
        default=0.0, ge=-1e9, le=1e9, description="US dollars per wrong prediction; costs are negative"
    )
    fixed_per_month: float = Field(
        default=0.0,
        ge=0,
        le=1e9,
        description="fixed costs of the product, US dollars per month",
    )
