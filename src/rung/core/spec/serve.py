"""The section of a spec that says how the product is served: `serve`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rung.core.spec.data import Section

InputKept = Literal["encrypted", "hash", "plain"]


class ServeSpec(Section):
    """What a server remembers, for how long, and how much a request may ask for. No part of a run's identity."""

    folder: str = Field(
        default="service",
        min_length=1,
        description="where keys, journal and audit trail lie; starts at the file's folder",
    )
    inputs: InputKept | None = Field(
        default=None,
        description="how the journal keeps inputs; default: encrypted where RUNG_MASTER_KEY is set, else only a hash",
    )
    keep_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="after so many days inputs, their hashes and subjects leave the journal",
    )
    body_mb: float = Field(default=8, gt=0, le=1_024, description="largest request, megabytes")
    rows: int = Field(default=1_000, ge=1, le=100_000, description="most rows of a request")
    seconds: float = Field(
        default=30, gt=0, le=3_600, description="longest a request may take, waiting included"
    )
    waiting: int = Field(
        default=128, ge=1, le=100_000, description="most requests at work at once; more are answered with 429"
    )
    per_minute: int | None = Field(
        default=None, ge=1, description="most requests of one key a minute; a key may have a limit of its own"
    )
    together: int = Field(
        default=8,
        ge=1,
        le=32,
        description="most waiting requests answered at a time, where that is measured to be cheaper; 1: never",
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="threads that predict; default: as many as cores"
    )
