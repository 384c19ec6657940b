"""An encoder and a decoder, both LSTMs with attention between them, trained from scratch on prompts and their texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_writer import LanguageParams, NetworkWriter
from rung.modalities.text.pair_language import PairNetwork


@dataclass(frozen=True)
class Seq2seqWriterParams(LanguageParams):
    """Parameters, see LanguageParams; prompt_weight, hidden and heads are not used."""

    most_units: int = 1_024


class Seq2seqWriter(NetworkWriter):
    """Use it where a text follows its prompt part by part, as a title, a summary or a rewording does, and there are thousands of pairs."""

    Params = Seq2seqWriterParams
    NAME = "seq2seq_writer"
    TRAINING_SECONDS, ANSWER_SECONDS = 3e-5, 2e-4

    @classmethod
    def fit(cls, examples: Examples, params: Seq2seqWriterParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.pair_fit import fit_pair

        return cls.of(examples, fit_pair(examples, params, context))

    @classmethod
    def load_language(cls, folder: Path) -> PairNetwork:
        return PairNetwork.load(folder)
