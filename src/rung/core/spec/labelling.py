"""The section of a spec that says how rows without labels get them: `labelling`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from rung.core.spec.data import Section

# One key a label: the digits, then the letters that are no command of the page (s skip, u undo, x cannot be told).
KEYS = "1234567890abcdefghijklmnopqrtvwyz"
LONGEST_LABEL = 200


def _as_labels(value: Any) -> Any:
    """Return labels as name -> description; a list has names alone."""
    if not isinstance(value, list):
        return (
            {key: "" if text is None else text for key, text in value.items()}
            if isinstance(value, dict)
            else value
        )
    if not all(isinstance(name, str) for name in value):
        raise ValueError("a label is not text; put it in quotes")
    twice = [name for i, name in enumerate(value) if name in value[:i]]
    if twice:
        raise ValueError(f"names the label '{twice[0]}' twice")
    return dict.fromkeys(value, "")


class LabellingSpec(Section):
    """How `rung label` gets labels for rows that have none: which labels there are, and what they mean."""

    labels: Annotated[dict[str, str], BeforeValidator(_as_labels)] = Field(
        description="the labels, a list of names or name: description; the description helps people and the first guesses"
    )
    guidelines: str = Field(default="", max_length=20_000, description="shown beside every row")
    audit_share: float = Field(
        default=0.2,
        gt=0.0,
        le=0.9,
        description="share of the labels that goes to random rows which certify and never train",
    )
    audit_rows: int | None = Field(
        default=None,
        ge=10,
        le=100_000,
        description="random rows that must all be labelled before any of them certifies; default: by the bar, 50 to 400",
    )
    random_share: float = Field(
        default=0.2,
        ge=0.05,
        le=1.0,
        description="share of the training labels that goes to random rows, for scores that are not biased",
    )
    overlap: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="share of the rows that a second person labels too, where there are two",
    )
    weights: str = Field(
        default="auto",
        min_length=1,
        description="encoder that reads the rows: a name of `rung weights`, auto, or none for words alone",
    )
    store: str = Field(
        default="labels.sqlite", min_length=1, description="where the labels are kept, from the spec's folder"
    )

    @model_validator(mode="after")
    def _usable(self) -> LabellingSpec:
        names = list(self.labels)
        if not 2 <= len(names) <= len(KEYS):
            raise ValueError(f"has {len(names)} labels; the page takes 2 to {len(KEYS)}, one key each")
        for name in names:
            if name != name.strip() or not name or len(name) > LONGEST_LABEL:
                raise ValueError(f"the label {name!r} is empty, too long, or begins or ends with a blank")
        return self
