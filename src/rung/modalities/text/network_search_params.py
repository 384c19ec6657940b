"""Parameters of a search for a text network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rung.core.errors import RungError
from rung.modalities.text.network_params import TextNetworkParams

Kind = Literal["mlp", "cnn_text", "lstm", "gru", "transformer"]


@dataclass(frozen=True)
class NetworkSearchParams(TextNetworkParams):
    """Parameters. trials, minutes: when the search ends, whichever comes first; 0 minutes is no limit. kinds: of networks
    that are tried. Learning rate, dropout, weight decay, batch and sizes are searched; the rest as in TextNetworkParams.
    """

    trials: int = 20
    minutes: float = 0.0
    kinds: tuple[Kind, ...] = ("mlp", "cnn_text", "lstm")
    epochs: int = 12
    patience: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trials < 1 or self.minutes < 0.0 or not self.kinds:
            raise RungError(
                f"trials is {self.trials}, minutes {self.minutes:g}, and there are {len(self.kinds)} kinds",
                fix="At least one trial and one kind are needed, and minutes must not be negative.",
            )
