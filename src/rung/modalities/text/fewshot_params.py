"""Parameters of encoders tuned on few rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rung.core.errors import RungError
from rung.core.training_params import Schedule, TrainingParams


@dataclass(frozen=True)
class FewshotParams(TrainingParams):
    """Parameters.

    weights, rank, alpha, max_tokens, train_tokens, precision_on_disk: as for finetuned_encoder. layers: which are trained:
    "last_third", the upper third, so that the lower features stay as general as they are and a step takes half the time; "all";
    or "lora". temperature: of the contrastive
    loss; lower looks at nearer rows. descriptions: what a label means, in words; by default its name. anchors: the
    encoder and the head learn descriptions as rows of their label, which is where training starts that has one to eight rows a
    label; None does so where there are descriptions. most_drawn: rows of an epoch at most; of more, `most_drawn` times `epochs` are drawn in all.
    """

    weights: str = "auto"
    layers: Literal["last_third", "all", "lora"] = "last_third"
    rank: int = 8
    alpha: float = 16.0
    temperature: float = 0.05
    descriptions: Mapping[str, str] = field(default_factory=dict)
    anchors: bool | None = None
    max_tokens: int | None = None
    train_tokens: int = 128
    most_drawn: int = 2_000
    precision_on_disk: Literal["auto", "int8", "float32"] = "auto"
    dropout: float = 0.1
    epochs: int = 4
    batch_rows: int = 16
    learning_rate: float = 5e-4
    layer_decay: float = 0.8
    schedule: Schedule = "linear"
    patience: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.001 <= self.temperature <= 10.0:
            raise RungError(f"the parameter 'temperature' is {self.temperature:g}", fix="Try 0.05.")
