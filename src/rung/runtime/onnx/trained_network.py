"""What trained networks share, whatever they read: calibrated probabilities, what training chose, how it is stored."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.core.model import DataFacts, FitContext, Model
from rung.core.types import Columns, Prediction
from rung.runtime.linear.head import Calibration

MODEL_FILE, FACTS_FILE = "model.onnx", "network.json"


class TrainedNetwork(Model):
    """A trained network with one output a label. Subclasses read inputs, and say how it is trained and what that costs."""

    NEEDS = "train"
    PACKAGES: ClassVar[tuple[str, ...]] = ("torch", "sklearn", "scipy", "onnx")
    PLACE = "asked"

    def __init__(self, labels: tuple[str, ...], calibration: Calibration, chosen: Mapping[str, Any]) -> None:
        """chosen: what training chose, and under `training` how it went by epoch."""
        self.labels = labels
        self._calibration = calibration
        self._chosen = dict(chosen)

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        return cls.missing_packages()

    @property
    def chosen(self) -> Mapping[str, Any]:
        return {name: value for name, value in self._chosen.items() if name != "training"}

    @property
    def training(self) -> Mapping[str, Sequence[float]]:
        found: Mapping[str, Sequence[float]] = self._chosen.get("training", {})
        return found

    @abstractmethod
    def logits(self, inputs: Columns) -> npt.NDArray[np.float64]:
        """Return [rows, labels], before calibration."""

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        return self._calibration.apply(self.logits(inputs))

    def predict(self, inputs: Columns) -> list[Prediction]:
        family = type(self).__module__.rsplit(".", 1)[-1]
        return self._calibration.answers(self.probabilities(inputs), self.labels, family)

    def write_facts(self, folder: Path, key: str, value: Mapping[str, Any]) -> None:
        """Write how inputs are read, under `key`, the calibration, and what was chosen."""
        facts = {
            key: value,
            "calibration": self._calibration.facts(),
            "chosen": self._chosen,
        }
        text = json.dumps(facts, ensure_ascii=False, indent=1)
        (folder / FACTS_FILE).write_text(text + "\n", encoding="utf-8")


def read_facts(folder: Path, key: str, labels: int) -> tuple[dict[str, Any], Calibration, dict[str, Any]]:
    """Return what `write_facts` wrote: how inputs are read, the calibration, and what was chosen.

    labels: how many there are. Raises BundleError where the calibration does not fit them.
    """
    facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    calibration = Calibration.from_facts(facts["calibration"], labels, folder.name)
    return facts[key], calibration, facts["chosen"]
