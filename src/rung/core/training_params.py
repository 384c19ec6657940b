"""How a network is trained: the parameters that every network has, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rung.core.errors import RungError

Optimizer = Literal["sgd", "adam", "adamw", "lion"]
Schedule = Literal["constant", "linear", "cosine", "one_cycle"]
Precision = Literal["auto", "float32", "bf16", "fp16"]


def require_limits(params: Any, limits: Mapping[str, tuple[float, float]]) -> None:
    """Raise RungError for the first of the named parameters that lies outside its limits. limits: name -> (least, most)."""
    for name, (least, most) in limits.items():
        value = getattr(params, name)
        if not least <= value <= most:
            raise RungError(
                f"the parameter '{name}' is {value:g}", fix=f"It must lie between {least:g} and {most:g}."
            )


@dataclass(frozen=True)
class TrainingParams:
    """Parameters of the trainer.

    epochs: passes over the training rows. batch_rows, batch_tokens: upper limits of a batch. accumulate: batches whose
    gradients are added before a step. optimizer, learning_rate (the highest of the schedule; 0 asks for a range test),
    momentum (SGD), weight_decay (of matrices; biases, norms and embeddings have none), layer_decay: factor of the
    learning rate for each layer below the last. schedule, warmup: share of training in which the rate rises. clip:
    greatest length of the gradient; 0 for none. ema: decay of averaged weights; 0 for none. patience: epochs without a
    better validation score before training stops; 0 trains to the end. precision: "auto" is bf16 or fp16 on a GPU and
    float32 on a CPU. compile: use torch.compile. processes: data-parallel processes on this machine.
    checkpoint_seconds: between checkpoints.
    """

    epochs: int = 10
    batch_rows: int = 32
    batch_tokens: int = 16_384
    accumulate: int = 1
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    clip: float = 1.0
    ema: float = 0.0
    patience: int = 3
    precision: Precision = "auto"
    compile: bool = False
    processes: int = 1
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        limits = {
            "epochs": (1, 100_000), "batch_rows": (1, 1 << 20), "batch_tokens": (1, 1 << 30), "accumulate": (1, 4096),
            "learning_rate": (0.0, 10.0), "momentum": (0.0, 0.9999), "weight_decay": (0.0, 10.0),
            "layer_decay": (0.01, 1.0), "warmup": (0.0, 0.9), "clip": (0.0, 1e6), "ema": (0.0, 0.99999),
            "patience": (0, 100_000), "processes": (1, 64), "checkpoint_seconds": (0.0, 1e6),
        }  # fmt: skip
        require_limits(self, limits)


@dataclass(frozen=True)
class ClassifierParams(TrainingParams):
    """Parameters of the loss of a classifier.

    label_smoothing: share of the target that is spread over all labels. class_weight: "balanced" gives all labels the
    same total weight. focal: exponent of the focal loss (Lin et al. 2017), which weights hard rows more; 0 is
    cross-entropy. refit: train again on all rows, validation rows included, for the number of epochs that was best;
    None does so below 5,000 rows.
    """

    label_smoothing: float = 0.0
    class_weight: Literal["none", "balanced"] = "none"
    focal: float = 0.0
    refit: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.label_smoothing < 1.0 or self.focal < 0.0:
            raise RungError(
                f"label_smoothing is {self.label_smoothing:g} and focal {self.focal:g}",
                fix="label_smoothing must lie in [0, 1), focal must not be negative.",
            )
