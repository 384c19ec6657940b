"""The section `cascade`: models in a row, cheapest first, each handing on what it is not sure of."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rung.core.spec.data import Section


class StageSpec(Section):
    """A stage, written as the family's name or with its parameters."""

    model: str = Field(min_length=1, description="model family")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the family")


def _as_stages(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return tuple({"model": item} if isinstance(item, str) else item for item in value)


class CascadeSpec(Section):
    """A rung made of several: each stage answers what it is sure of and hands the rest on."""

    stages: Annotated[tuple[StageSpec, ...], BeforeValidator(_as_stages)] = Field(
        min_length=2, max_length=4, description="families, cheapest first; each at most once"
    )
    within: float = Field(
        default=0.005,
        ge=0,
        le=0.5,
        description="accuracy that may be lost against the last stage on training rows, for fewer calls of it",
    )
    by: Literal["auto", "confidence", "margin", "benefit"] = Field(
        default="auto",
        description="what decides: the probability of the answer, its lead, or the predicted benefit of handing on; "
        "auto: the one that hands on fewest training rows",
    )
    abstain: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="mark answers with a lower probability for a person; 0: never",
    )
    selective_error: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="instead of `abstain`: search the threshold so that, with 95 % confidence, at most this share of the answers "
        "that are not marked for a person is wrong; a fifth of the training rows is kept from all stages for it",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.abstain and self.selective_error is not None:
            raise ValueError("`abstain` and `selective_error` exclude each other: name one of them")
        return self
