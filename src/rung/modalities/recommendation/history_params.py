"""What can be set of a network over histories."""

from __future__ import annotations

from dataclasses import dataclass

from rung.core.errors import RungError
from rung.core.training_params import TrainingParams


@dataclass(frozen=True)
class HistoryParams(TrainingParams):
    """Parameters.

    width: numbers of an item's vector. hidden: units of inner layers. layers, heads: of self-attention. dropout: of activations.
    most_events: of a history, the latest, that are read. window: events after each one that count as right answers. The rest as in
    TrainingParams.
    """

    epochs: int = 24
    batch_rows: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    patience: int = 6
    width: int = 64
    hidden: int = 128
    layers: int = 2
    heads: int = 2
    dropout: float = 0.2
    most_events: int = 100
    window: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {"width": (4, 1024), "hidden": (4, 4096), "layers": (1, 12), "heads": (1, 32), "most_events": (2, 1000), "window": (1, 100)}  # fmt: skip
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise RungError(
                    f"the parameter '{name}' is {value}", fix=f"It must lie between {least} and {most}."
                )
        if not 0.0 <= self.dropout < 1.0:
            raise RungError(f"the parameter 'dropout' is {self.dropout:g}", fix="It must lie in [0, 1).")
