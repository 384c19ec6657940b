"""The section of a spec that says what answers are worth: `value`."""

from __future__ import annotations

from pydantic import Field

from rung.core.spec.data import Section


class ValueSpec(Section):
    """What right and wrong answers are worth in US dollars, for `rung value`. No part of a run's identity."""

    per_correct: float = Field(
        default=0.0, ge=-1e9, le=1e9, description="US dollars that a right answer brings"
    )
    per_error: float = Field(
        default=0.0, ge=-1e9, le=1e9, description="US dollars that a wrong answer brings; costs are negative"
    )
    fixed_per_month: float = Field(
        default=0.0,
        ge=0,
        le=1e9,
        description="US dollars a month that the product costs however much it is asked",
    )
