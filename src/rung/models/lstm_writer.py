"""An LSTM language model, trained from scratch on prompts and their texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_writer import LanguageParams, NetworkWriter


@dataclass(frozen=True)
class LstmWriterParams(LanguageParams):
    """Parameters, see LanguageParams."""

    most_units: int = 1_024


class LstmWriter(NetworkWriter):
    """Use it for thousands of short texts of one kind, such as lines of poems: small, and fast to write with."""

    Params = LstmWriterParams
    NAME = "lstm_writer"
    TRAINING_SECONDS, ANSWER_SECONDS = 2e-5, 1.5e-4

    @classmethod
    def fit(cls, examples: Examples, params: LstmWriterParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.language_fit import fit_language

        return cls.of(examples, fit_language("lstm", examples, params, context))
