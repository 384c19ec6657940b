"""Parameters that all language models from scratch have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rung.core.errors import RungError


@dataclass(frozen=True)
class UnitParams:
    """Parameters. unit: what is written one after the other; auto: characters for Chinese and Japanese and for little text.

    vocabulary_size: of parts of words, at most.
    """

    unit: Literal["auto", "character", "subword"] = "auto"
    vocabulary_size: int = 4_000

    def __post_init__(self) -> None:
        if not 300 <= self.vocabulary_size <= 64_000:
            raise RungError(
                f"the parameter 'vocabulary_size' is {self.vocabulary_size}",
                fix="It must lie between 300 and 64,000.",
            )
