"""Parameters of fine-tuned text encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rung.core.errors import RungError
from rung.core.training_params import ClassifierParams, Schedule


@dataclass(frozen=True)
class FinetuningParams(ClassifierParams):
    """Parameters.

    weights: as for frozen_encoder, with a model.safetensors. layers: which are trained: "all", the last ones, or "lora",
    low-rank changes (`rank`, `alpha`) of all linear layers, or "adapters", small networks (`bottleneck` wide) behind the frozen
    layers. max_tokens: of one text; None: as many as the encoder reads.
    ends: of longer texts read the beginning and the end, half each.
    train_tokens: of one text while training, which costs most of the time. most_rows: training rows at most; None depends on the effort. precision_on_disk: of the file that ships; "auto" is
    int8 if it gives the answers of float32. The rest as in TrainingParams and ClassifierParams.
    """

    weights: str = "auto"
    layers: Literal["all", "last_1", "last_2", "last_3", "lora", "adapters"] = "all"
    rank: int = 8
    alpha: float = 16.0
    bottleneck: int = 48
    max_tokens: int | None = None
    ends: bool = False
    train_tokens: int = 128
    most_rows: int | None = None
    precision_on_disk: Literal["auto", "int8", "float32"] = "auto"
    dropout: float = 0.1
    epochs: int = 2
    batch_rows: int = 16
    learning_rate: float = 2e-4
    layer_decay: float = 0.8
    schedule: Schedule = "linear"
    patience: int = 0
    refit: bool | None = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rank", "bottleneck"):
            if getattr(self, name) < 1:
                raise RungError(
                    f"the parameter '{name}' is {getattr(self, name)}", fix="It must be at least 1."
                )
