"""What detectors share when they answer: a network that finds boxes, and the score from which a box is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from rung.core.model import Model
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.images.box_metrics import CANDIDATES
from rung.modalities.images.decode import pillow
from rung.modalities.images.detector import Detector

# Boxes below the threshold that answers carry for average precision: from this score, and at most so many.
LEAST_SCORE, _MOST_CANDIDATES = 0.05, 100


class DetectorModel(Model):
    """Boxes of a detector whose score reaches a threshold."""

    NEEDS = "build,images"
    PACKAGES = ("onnx", "PIL")
    TASKS = frozenset({"object_detection"})

    def __init__(self, detector: Detector, threshold: float, chosen: Mapping[str, Any]) -> None:
        self.detector = detector
        self.threshold = threshold
        self._chosen = dict(chosen)

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    def predict(self, inputs: Columns) -> list[Prediction]:
        (images,) = inputs.values()
        name = type(self).__module__.rsplit(".", 1)[-1]
        answers = []
        for boxes in self.detector.detect(images, min(LEAST_SCORE, self.threshold)):
            answered = tuple(box for box in boxes if (box.score or 0.0) >= self.threshold)
            candidates = tuple(boxes[: max(_MOST_CANDIDATES, len(answered))])
            extra = {CANDIDATES: candidates, "threshold": self.threshold}
            answers.append(Prediction(answered, answered_by=name, extra=extra))
        return answers

    def save(self, folder: Path) -> None:
        self.detector.save(folder)
        facts = {"threshold": self.threshold, "chosen": self._chosen}
        (folder / "answer.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        pillow()  # Missing, it is said when a server starts, not at its first request.
        facts = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        return cls(Detector.open(folder), float(facts["threshold"]), facts["chosen"])
