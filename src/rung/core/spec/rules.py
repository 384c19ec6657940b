"""The section of a spec that answers by hand: `rules`."""

from __future__ import annotations

import unicodedata

from pydantic import Field, model_validator

from rung.core.spec.data import Section


class RuleSpec(Section):
    """An answer given by hand, whatever a model would say."""

    equals: str | None = Field(default=None, min_length=1, max_length=1_000, description="the whole text")
    contains: str | None = Field(
        default=None, min_length=1, max_length=1_000, description="these words, anywhere in the text"
    )
    matches: str | None = Field(
        default=None, min_length=1, max_length=1_000, description="the whole text, `*` for any characters"
    )
    answer: str = Field(min_length=1, description="the label to answer")

    @model_validator(mode="after")
    def _one_kind(self) -> RuleSpec:
        kinds = {"equals": self.equals, "contains": self.contains, "matches": self.matches}
        given = [f"{kind} '{text}'" for kind, text in kinds.items() if text is not None]
        if len(given) != 1:
            found = f"has {' and '.join(given)}" if given else "says nothing to look for"
            raise ValueError(
                f"{found}: give exactly one of equals, contains and matches, else write two rules"
            )
        # Of any width: "＊" and "　" are a star and a blank.
        text = unicodedata.normalize("NFKC", self.equals or self.contains or self.matches or "")
        if not text.replace("*", " ").strip():
            raise ValueError("it would answer every text; write what to look for")
        return self
