"""Base class of language models trained from scratch: their parameters, cost and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.training_params import TrainingParams, require_limits
from rung.modalities.text.network_language import NetworkLanguage
from rung.modalities.text.writer import LanguageWriter


@dataclass(frozen=True)
class LanguageParams(TrainingParams):
    """Parameters.

    unit: what is written one after the other; auto: characters for Chinese and Japanese and for little text. vocabulary_size: of
    parts of words, at most. width: of embeddings and layers. hidden: inner units of a transformer's layers. layers, heads: of them.
    most_units: units of a row that are learned from, and that a transformer remembers. dropout: of activations. prompt_weight: of units of
    the prompt in the loss, against 1 for those of the text. The rest as in TrainingParams.
    """

    unit: Literal["auto", "character", "subword"] = "auto"
    vocabulary_size: int = 4_000
    width: int = 192
    hidden: int = 512
    layers: int = 1
    heads: int = 4
    most_units: int = 256
    dropout: float = 0.2
    prompt_weight: float = 0.2
    epochs: int = 8
    batch_tokens: int = 4_096
    learning_rate: float = 3e-3
    patience: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {
            "vocabulary_size": (300, 64_000), "width": (8, 4_096), "hidden": (8, 16_384), "layers": (1, 48), "heads": (1, 64),
            "most_units": (16, 8_192), "dropout": (0.0, 0.9), "prompt_weight": (0.0, 1.0),
        }  # fmt: skip
        require_limits(self, limits)
        if self.width % self.heads:
            raise RungError(
                f"heads is {self.heads}, which does not divide the width {self.width}", "heads", "Try 2 or 4."
            )


class NetworkWriter(LanguageWriter):
    """A language model trained on these rows alone. TRAINING_SECONDS, ANSWER_SECONDS: CPU time of a unit in one epoch, and written."""

    NEEDS = "train"
    PACKAGES = ("torch", "onnx")
    PLACE = "asked"
    VALIDATION_SHARE = 0.1
    TRAINING_SECONDS: ClassVar[float]
    ANSWER_SECONDS: ClassVar[float]

    @property
    def chosen(self) -> Mapping[str, Any]:
        return {name: value for name, value in super().chosen.items() if name != "training"}

    @property
    def training(self) -> Mapping[str, Sequence[float]]:
        found: Mapping[str, Sequence[float]] = self._chosen.get("training", {})
        return found

    @classmethod
    def load_language(cls, folder: Path) -> NetworkLanguage:
        return NetworkLanguage.load(folder)

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        return cls.missing_packages()

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        units = min(2.0 * max(facts.chars_per_row, 30.0), float(params.most_units))
        scale = params.layers * (params.width / 192) ** 2
        fit = 6.0 + facts.rows * params.epochs * units * cls.TRAINING_SECONDS * scale
        each = 0.002 + min(max(facts.chars_per_row, 30.0), 400.0) * cls.ANSWER_SECONDS * scale
        size = (params.vocabulary_size * params.width + 12 * params.layers * params.width**2) * 4e-6
        return Cost(fit, 1000 * each, 500.0, size + 1.0)
