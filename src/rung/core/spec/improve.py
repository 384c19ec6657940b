"""The sections `improve` and `joined`: learning from feedback and promotion of challengers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from rung.core.spec.data import Section, as_tuple


class ShadowSpec(Section):
    """Criteria for a challenger's shadow run on live requests, before it is promoted."""

    rows: int = Field(
        default=500, ge=1, le=10_000_000, description="rows to predict in shadow before the promotion"
    )
    agreement: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="minimum share of rows with the champion's prediction; 0: no minimum, because the challenger may have learned much",
    )
    waiting: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="maximum number of queued requests in a server; further ones are skipped and counted",
    )


class ImproveSpec(Section):
    """Promotion of challengers and acceptance of feedback. Not part of a run's fingerprint."""

    margin: float = Field(
        default=0.02,
        gt=0.0,
        le=0.5,
        description="non-inferiority margin, as a share of the metric's range",
    )
    confidence: float = Field(
        default=0.95,
        ge=0.5,
        le=0.9999,
        description="confidence that no improvement in the product's life is worse by more than the margin",
    )
    metric: str | None = Field(
        default=None,
        min_length=1,
        description="metric of the comparison; default: the first of the bar that is a mean over rows with a known range, "
        "else the task's default",
    )
    min_feedback: int = Field(
        default=50, ge=1, description="accepted rows needed before a challenger is trained"
    )
    audit_share: float = Field(
        default=0.2,
        gt=0.0,
        le=0.9,
        description="share of served rows reserved for the audit, selected by a keyed hash",
    )
    audit_rows: int | None = Field(
        default=None,
        ge=10,
        le=100_000,
        description="rows per audit round, all reviewed before they count; default: by the bar, 50 to 400",
    )
    author_share: float = Field(
        default=0.3,
        gt=0.0,
        le=1.0,
        description="maximum share of the accepted feedback from one author who is not a reviewer, if there are several authors",
    )
    sure: float = Field(
        default=0.9,
        ge=0.0,
        le=1.0,
        description="feedback of a single user against a prediction with at least this probability is not used until someone agrees",
    )
    labels: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(), max_length=33, description="additional labels that reviewers may use"
    )
    overlap: float = Field(
        default=0.1, ge=0.0, le=1.0, description="share of the rows given to a second reviewer"
    )
    shadow: ShadowSpec | None = Field(
        default=None,
        description="run challengers in shadow first; default: promote after the non-inferiority tests",
    )


class JoinedSpec(Section):
    """Data that `rung improve` adds to a build; written by rung into the run, not by users."""

    feedback: str = Field(min_length=1, description="JSON lines of accepted feedback, for training only")
    audit: str = Field(min_length=1, description="JSON lines of new audit rows, for certification only")


def drop_absent_sections(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a dumped spec without the keys that came after 0.1 and say nothing, so that earlier fingerprints stay valid."""
    found = {
        key: value
        for key, value in spec.items()
        if key not in {"joined", "cascade", "recommend", "writing"} or value is not None
    }
    if not found.get("accept"):
        found.pop("accept", None)
    found["certify"] = {k: v for k, v in spec["certify"].items() if k != "groups" or v is not None}
    found["privacy"] = {k: v for k, v in spec["privacy"].items() if k != "mask_before_llm" or v is not True}
    found["data"] = {
        k: v
        for k, v in spec["data"].items()
        if k not in {"missing_group", "missing_labels", "corpus"} or v is not None
    }
    return found
