"""The section `compress`: what a smaller version of the winner may take and lose."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rung.core.spec.data import Section

Prefer = Literal["size", "speed"]
_SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([kKmMgG]?)[bB]?\s*")
_MEGABYTES = {"k": 1e-3, "m": 1.0, "g": 1e3, "": 1.0}


def megabytes(value: Any) -> Any:
    """Return a size in megabytes: 10MB, 500kB, 1.5GB or a bare number of megabytes. Raises ValueError for what is no size."""
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value)
    if not found:
        raise ValueError(f"'{value}' is no size; write 10MB, 500kB or 1.5GB")
    return float(found[1]) * _MEGABYTES[found[2].lower()]


class CompressSpec(Section):
    """Defaults of `rung compress`; with this section `rung build` makes the winner smaller at its end. Not part of a run's fingerprint."""

    to: Annotated[float | None, BeforeValidator(megabytes)] = Field(
        default=None, gt=0, lt=1e6, description="size of the bundle at most, such as 10MB; default: as small as can be"
    )  # fmt: skip
    max_loss: float = Field(
        default=0.005,
        ge=0,
        lt=1,
        description="how much of the bar's first metric may be lost on held-out training rows",
    )
    prefer: Prefer = Field(
        default="size", description="what is made least: `size` of the bundle, or CPU time (`speed`)"
    )
    train: bool = Field(
        default=False,
        description="also train networks after layers, heads or units were cut; needs `rung[train]`, minutes each",
    )
    unlabelled: str | None = Field(
        default=None, description="table of rows without labels, which the winner answers and students learn from"
    )  # fmt: skip
