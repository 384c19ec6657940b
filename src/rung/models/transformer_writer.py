"""A transformer language model, trained from scratch on prompts and their texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_writer import LanguageParams, NetworkWriter


@dataclass(frozen=True)
class TransformerWriterParams(LanguageParams):
    """Parameters, see LanguageParams."""

    layers: int = 2
    learning_rate: float = 2e-3


class TransformerWriter(NetworkWriter):
    """Use it where a text must pick up what stood far before, and there are ten thousand rows or more."""

    Params = TransformerWriterParams
    NAME = "transformer_writer"
    TRAINING_SECONDS, ANSWER_SECONDS = 3e-5, 2e-4

    @classmethod
    def fit(cls, examples: Examples, params: TransformerWriterParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.language_fit import fit_language

        return cls.of(examples, fit_language("transformer", examples, params, context))
