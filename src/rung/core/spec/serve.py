"""The section `serve`: journal and limits of a server."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from rung.core.spec.data import Section
from rung.core.spec.renamed import with_new_names

InputKept = Literal["encrypted", "hash", "plain"]
MediaKept = Literal["hash", "keep"]


class ServeSpec(Section):
    """Journal settings and request limits of a server. Not part of a run's fingerprint."""

    folder: str = Field(
        default="service",
        min_length=1,
        description="folder of API keys, journal and audit log, relative to the file's folder",
    )
    inputs: InputKept | None = Field(
        default=None,
        description="how the journal keeps inputs; default: encrypted if RUNG_MASTER_KEY is set, else only a hash",
    )
    media: MediaKept = Field(
        default="hash",
        description="how kept inputs hold images, sound and documents: by hash and measures, or with their content, up to 1 MiB each",
    )
    keep_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="days after which inputs, their hashes and subjects are removed from the journal",
    )
    body_mb: float = Field(default=8, gt=0, le=1_024, description="maximum size of a request body, megabytes")
    rows: int = Field(default=1_000, ge=1, le=100_000, description="maximum number of rows per request")
    seconds: float = Field(
        default=30, gt=0, le=3_600, description="timeout of a request in seconds, including time in the queue"
    )
    max_in_flight: int = Field(
        default=128,
        ge=1,
        le=100_000,
        description="requests processed or queued at once; further ones are answered with 429",
    )
    per_minute: int | None = Field(
        default=None, ge=1, description="requests per minute and API key; a key may have its own limit"
    )
    max_batch_size: int = Field(
        default=8,
        ge=1,
        le=32,
        description="queued requests predicted in one batch, where that is measured to be cheaper; 1: no batching",
    )
    answer_cache: int = Field(
        default=10_000,
        ge=0,
        le=10_000_000,
        description="answers of cascades and language models that are kept in memory and given again to equal rows; 0: none",
    )
    near_cache: bool = Field(
        default=False,
        description="also give them to texts with the same content words in the same order: greetings, articles, 'please', final marks and "
        "the first capital may differ; negations, numbers and names may not",
    )
    explore: float = Field(
        default=0.0,
        ge=0.0,
        le=0.5,
        description="share of lists that are drawn at random among the best items, with their propensities in answer and journal, so that "
        "`rung replay` can tell what another model would have earned; 0: none",
    )
    explore_among: int = Field(
        default=30,
        ge=2,
        le=1_000,
        description="best items that such a list is drawn among; the more, the more another model may differ, and the longer one must wait",
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="threads for predictions; default: one per core"
    )

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, values: Any) -> Any:
        return with_new_names("serve", values)
