"""The section `labelling`: settings of `rung label`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from rung.core.spec.data import Section

# One key per label: digits, then letters that are not commands of the page (s skip, u undo, x cannot be decided).
KEYS = "1234567890abcdefghijklmnopqrtvwyz"
MAX_LABEL_CHARS = 200


def _as_labels(value: Any) -> Any:
    """Return labels as name -> description; a list contains only names."""
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
    """Labels, guidelines and sampling of `rung label`."""

    labels: Annotated[dict[str, str], BeforeValidator(_as_labels)] = Field(
        description="the labels: a list of names, or name: description; descriptions help annotators and the first guesses"
    )
    guidelines: str = Field(default="", max_length=20_000, description="shown next to every row")
    audit_share: float = Field(
        default=0.2,
        gt=0.0,
        le=0.9,
        description="share of the labels on random rows for certification only",
    )
    audit_rows: int | None = Field(
        default=None,
        ge=10,
        le=100_000,
        description="random rows that must all be labelled before they certify; default: by the bar, 50 to 400",
    )
    random_share: float = Field(
        default=0.2,
        ge=0.05,
        le=1.0,
        description="share of the training labels on random rows, for unbiased scores",
    )
    overlap: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="share of the rows given to a second annotator",
    )
    weights: str = Field(
        default="auto",
        min_length=1,
        description="encoder of the rows: a name of `rung weights`, auto, or none for word features",
    )
    store: str = Field(
        default="labels.sqlite", min_length=1, description="file of the labels, relative to the spec's folder"
    )

    @model_validator(mode="after")
    def _usable(self) -> LabellingSpec:
        names = list(self.labels)
        if not 1 <= len(names) <= len(KEYS):
            raise ValueError(f"has {len(names)} labels; the page supports 1 to {len(KEYS)}, one key each")
        for name in names:
            if name != name.strip() or not name or len(name) > MAX_LABEL_CHARS:
                raise ValueError(f"the label {name!r} is empty, too long, or starts or ends with a space")
        return self
