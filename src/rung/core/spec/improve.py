"""The sections of a spec that say how a served product learns and when it replaces itself: `improve` and `joined`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from rung.core.spec.data import Section, as_tuple


class ShadowSpec(Section):
    """What a challenger that passed the gate must show beside the champion, on live requests, before it serves."""

    rows: int = Field(
        default=500, ge=1, le=10_000_000, description="rows it answers in shadow before it may serve"
    )
    agreement: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="least share of them that it answers as the champion does; 0: any, for it may have learned much",
    )
    waiting: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="most requests that wait for it in a server; more are skipped and counted",
    )


class ImproveSpec(Section):
    """When a challenger may take the champion's place, and what of the feedback it may learn. No part of a run's identity."""

    margin: float = Field(
        default=0.02,
        gt=0.0,
        le=0.5,
        description="a challenger is no worse when it loses less than this share of the metric's range",
    )
    confidence: float = Field(
        default=0.95,
        ge=0.5,
        le=0.9999,
        description="that no improvement of the product's whole life was worse by more than the margin",
    )
    metric: str | None = Field(
        default=None,
        min_length=1,
        description="what champion and challenger are compared by; default: the first of the bar that is a mean over rows "
        "with a known range, else the task's own",
    )
    min_feedback: int = Field(
        default=50, ge=1, description="accepted rows below which nothing is learned yet"
    )
    audit_share: float = Field(
        default=0.2,
        gt=0.0,
        le=0.9,
        description="share of the served rows that is kept for the audit: a keyed hash decides which",
    )
    audit_rows: int | None = Field(
        default=None,
        ge=10,
        le=100_000,
        description="rows of an audit round, all of which are reviewed before they count; default: by the bar, 50 to 400",
    )
    author_share: float = Field(
        default=0.3,
        gt=0.0,
        le=1.0,
        description="largest share of the accepted feedback that one author may give who is no reviewer, where there are several",
    )
    sure: float = Field(
        default=0.9,
        ge=0.0,
        le=1.0,
        description="what one user alone says against an answer this probable is put aside until somebody agrees",
    )
    labels: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(), max_length=33, description="labels that reviewers may give beside those the model knows"
    )
    overlap: float = Field(
        default=0.1, ge=0.0, le=1.0, description="share of the rows that a second reviewer is asked about too"
    )
    shadow: ShadowSpec | None = Field(
        default=None,
        description="first answer live requests in shadow; default: no, serve once the gate is passed",
    )


class JoinedSpec(Section):
    """What `rung improve` adds to a build; it writes this section itself, into the run it makes."""

    feedback: str = Field(
        min_length=1, description="JSON lines of accepted feedback: they train, never certify"
    )
    audit: str = Field(min_length=1, description="JSON lines of fresh audit rows: they certify, never train")


def without_nothing(said: dict[str, Any]) -> dict[str, Any]:
    """Return a dumped spec without `joined` where there is none, so that it reads as one from before there was."""
    return {key: value for key, value in said.items() if key != "joined" or value is not None}
