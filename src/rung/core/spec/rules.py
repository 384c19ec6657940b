"""The section `rules`: answers given before any model."""

from __future__ import annotations

import unicodedata

from pydantic import Field, model_validator

from rung.core.spec.data import Section


class RuleSpec(Section):
    """A fixed answer for texts that match, given before any model."""

    equals: str | None = Field(default=None, min_length=1, max_length=1_000, description="the whole text")
    contains: str | None = Field(
        default=None, min_length=1, max_length=1_000, description="words that occur anywhere in the text"
    )
    matches: str | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        description="pattern of the whole text, `*` for any characters",
    )
    answer: str = Field(min_length=1, description="the label to answer")

    @model_validator(mode="after")
    def _one_kind(self) -> RuleSpec:
        kinds = {"equals": self.equals, "contains": self.contains, "matches": self.matches}
        given = [f"{kind} '{text}'" for kind, text in kinds.items() if text is not None]
        if len(given) != 1:
            found = f"has {' and '.join(given)}" if given else "has no text to match"
            raise ValueError(f"{found}: give exactly one of equals, contains and matches, or write two rules")
        # NFKC: a full-width star or space counts as the plain one.
        text = unicodedata.normalize("NFKC", self.equals or self.contains or self.matches or "")
        if not text.replace("*", " ").strip():
            raise ValueError("it would match every text; give some text to match")
        return self
