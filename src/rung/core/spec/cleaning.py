"""The sections `clean` and `privacy`: text cleaning steps and personal data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from rung.core.spec.data import Section, as_tuple

# One module per kind in rung/privacy; a test compares the two.
PersonalKind = Literal["secret", "email", "cn_id", "card", "ip", "phone", "plate", "person"]
KINDS: tuple[str, ...] = get_args(PersonalKind)
# Meaning of `all`. Names of people need an extra, so `person` must be listed explicitly.
DEFAULT_KINDS = tuple(kind for kind in KINDS if kind != "person")


class StepSpec(Section):
    """A text cleaning step, written as its name or as {name: {parameter: value}}."""

    step: str = Field(min_length=1, description="name of the step; see docs/howto/clean-your-data.md")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the step")


def _as_steps(value: Any) -> Any:
    """Return steps in any of their written forms as sections; anything else is left for validation."""
    if value is None:
        return None
    return tuple(_as_step(item) for item in as_tuple(value))


def _as_step(item: Any) -> Any:
    if isinstance(item, str):
        return {"step": item}
    if isinstance(item, Mapping) and len(item) == 1 and "step" not in item:
        ((name, params),) = item.items()
        return {"step": name, "params": {} if params is None else params}
    return item


Steps = Annotated[tuple[StepSpec, ...] | None, BeforeValidator(_as_steps)]


def _as_kinds(value: Any) -> Any:
    return DEFAULT_KINDS if value == "all" else as_tuple(value)


Kinds = Annotated[tuple[PersonalKind, ...], BeforeValidator(_as_kinds)]


class PrivacySpec(Section):
    """Detection of personal data in texts, at build and at prediction. `all`: every kind except person."""

    mask: Kinds = Field(
        default=(),
        description="kinds to replace by a placeholder such as `<PHONE_1>`, the same one for equal values in a row",
    )
    drop: Kinds = Field(default=(), description="kinds that exclude a row from the data and refuse a request")

    mask_before_llm: bool = Field(
        default=True,
        description="replace personal data of every kind but person before a text is sent to a language model",
    )

    @model_validator(mode="after")
    def _one_policy(self) -> PrivacySpec:
        both = [kind for kind in self.mask if kind in self.drop]
        if both:
            raise ValueError(f"'{both[0]}' cannot be masked and dropped: keep it in one list")
        return self
