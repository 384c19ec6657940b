"""An n-gram language model that goes on from a prompt: counts of characters or parts of words, smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.language_params import UnitParams
from rung.modalities.text.ngram_language import NgramLanguage
from rung.modalities.text.writer import LanguageWriter


@dataclass(frozen=True)
class NgramWriterParams(UnitParams):
    """Parameters. order: units of the longest n-grams; None chooses by bits per character on rows held out. The rest as in UnitParams."""

    order: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order is not None and not 2 <= self.order <= 12:
            raise RungError(f"the parameter 'order' is {self.order}", fix="It must lie between 2 and 12.")


class NgramWriter(LanguageWriter):
    """Use it for short texts of one kind that go on as others did: lines, phrases, set forms. Fitted in seconds."""

    NEEDS = "build"
    Params = NgramWriterParams
    VALIDATION_SHARE = 0.1
    NAME = "ngram_writer"

    @classmethod
    def fit(cls, examples: Examples, params: NgramWriterParams, context: FitContext) -> Self:
        from rung.training.text.ngram_fit import fit_ngrams

        return cls.of(examples, fit_ngrams(examples, params, context))

    @classmethod
    def load_language(cls, folder: Path) -> NgramLanguage:
        return NgramLanguage.load(folder)

    @classmethod
    def cost(cls, facts: DataFacts, params: NgramWriterParams, context: FitContext) -> Cost:
        # A text is planned to be as long as a prompt, at most as long as texts are.
        units = min(max(facts.chars_per_row, 30.0), 400.0)
        chars = facts.rows * 2 * facts.chars_per_row
        return Cost(1.0 + chars * 2.5e-5, 5.0 + units * 0.15, 60 + chars * 1e-4, 0.5 + min(chars, 2e7) * 4e-5)
