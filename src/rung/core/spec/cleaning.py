"""The sections of a spec that say how text is mended and what personal data may pass: `clean` and `privacy`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from rung.core.spec.data import Section, as_tuple

# One file a kind in privacy; a test holds the two together.
PersonalKind = Literal["secret", "email", "cn_id", "card", "ip", "phone", "plate", "person"]
KINDS: tuple[str, ...] = get_args(PersonalKind)
# What `all` stands for: names of people need an extra, and are asked for by name.
PLAIN_KINDS = tuple(kind for kind in KINDS if kind != "person")


class StepSpec(Section):
    """A step that mends text, written as its name, or as {name: {parameter: value}}."""

    step: str = Field(min_length=1, description="its name: docs/howto/clean-your-data.md lists them")
    params: dict[str, Any] = Field(default_factory=dict, description="its parameters")


def _as_steps(value: Any) -> Any:
    """Return steps in any of their written forms as sections; what is none of them is left for the checks."""
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
    return PLAIN_KINDS if value == "all" else as_tuple(value)


Kinds = Annotated[tuple[PersonalKind, ...], BeforeValidator(_as_kinds)]


class PrivacySpec(Section):
    """Personal data in texts, found before a row is written, and at every prediction. `all`: every kind but person."""

    mask: Kinds = Field(
        default=(),
        description="kinds to replace by a mark such as `<PHONE_1>`, the same mark for the same value in a row",
    )
    drop: Kinds = Field(
        default=(), description="kinds that keep a row out of the data, and a request from being answered"
    )

    @model_validator(mode="after")
    def _one_policy(self) -> PrivacySpec:
        both = [kind for kind in self.mask if kind in self.drop]
        if both:
            raise ValueError(f"'{both[0]}' cannot be masked and dropped: keep it in one list")
        return self
