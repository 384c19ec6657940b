"""A linear classifier in numpy: scores, calibrated probabilities, and its two files (safetensors and JSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.core.model import answers_from
from rung.core.types import Prediction
from rung.runtime.classification.set_answers import set_answers

Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]
# Names of the tensors of weights in 8 bits.
WEIGHTS_FILE = "weights.safetensors"
_CODES, _SCALES = "weights.codes", "weights.scales"


@dataclass(frozen=True)
class Calibration:
    """Maps scores to probabilities, and those to answers.

    kind "temperature": softmax(scores * scale). kind "isotonic": the softmax, then for each label an isotonic
    curve through its knots, then each row is scaled to sum to 1 (Zadrozny & Elkan 2002). kind "sigmoid": each label by
    itself, 1 / (1 + exp(-scores * scale)); an answer then is the set of labels whose probability reaches `thresholds`.
    """

    kind: str = "temperature"
    scale: float = 1.0
    knots: tuple[tuple[Floats, Floats], ...] = ()
    thresholds: tuple[float, ...] = ()

    def apply(self, scores: Floats) -> Floats:
        """Return probabilities [rows, labels] of scores of that shape."""
        logits = scores * self.scale
        if self.kind == "sigmoid":
            return np.asarray(1.0 / (1.0 + np.exp(-logits.clip(-60.0, 60.0))), dtype=np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        raw = np.exp(logits)
        raw /= raw.sum(axis=1, keepdims=True)
        if self.kind != "isotonic":
            return np.asarray(raw, dtype=np.float64)
        isotonic = np.column_stack([np.interp(raw[:, i], x, y) for i, (x, y) in enumerate(self.knots)])
        # A tenth of the uncalibrated probability keeps the order of labels on the same step, and avoids zero.
        mixed = 0.9 * isotonic + 0.1 * raw
        return np.asarray(mixed / mixed.sum(axis=1, keepdims=True), dtype=np.float64)

    def answers(self, probabilities: Floats, labels: Sequence[str], by: str) -> list[Prediction]:
        """Return an answer a row: the likeliest label, or the set of labels that reach their thresholds."""
        if self.kind == "sigmoid":
            return set_answers(probabilities, labels, self.thresholds, by)
        return answers_from(probabilities, labels, by)

    def chosen(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the threshold of each label, for report and card; {} where an answer is one label."""
        pairs = zip(labels, self.thresholds, strict=True) if self.thresholds else ()
        found = {label: round(value, 4) for label, value in pairs}
        return {"thresholds": found} if found else {}

    def facts(self) -> dict[str, Any]:
        """Return what JSON holds of it; knots are stored as tensors."""
        found: dict[str, Any] = {"kind": self.kind, "scale": self.scale}
        return found | ({"thresholds": list(self.thresholds)} if self.thresholds else {})

    @staticmethod
    def from_facts(
        raw: Mapping[str, Any], labels: int, where: str, knots: tuple[tuple[Floats, Floats], ...] = ()
    ) -> Calibration:
        """Return the calibration that `facts` wrote; raises BundleError where a label lacks its threshold."""
        thresholds = tuple(map(float, raw.get("thresholds", ())))
        if len(thresholds) != (labels if raw["kind"] == "sigmoid" else 0):
            raise BundleError(
                f"{len(thresholds)} thresholds do not fit {labels} labels", where, "Build it again."
            )
        return Calibration(raw["kind"], float(raw["scale"]), knots, thresholds)


@dataclass(frozen=True)
class LinearHead:
    """weights: [features, labels]. bias: [labels]. Labels are in the order of the schema."""

    weights: Weights
    bias: Weights
    calibration: Calibration

    def save(self, folder: Path, facts: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write weights.safetensors and head.json; `facts` and `tensors` are stored with them for the caller."""
        from safetensors.numpy import save_file

        arrays = {"weights": self.weights, "bias": self.bias, **tensors}
        for i, (x, y) in enumerate(self.calibration.knots):
            arrays[f"knots.{i}.x"], arrays[f"knots.{i}.y"] = x, y
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, folder / WEIGHTS_FILE)
        content = {"calibration": self.calibration.facts(), **facts}
        (folder / "head.json").write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")

    @staticmethod
    def load(
        folder: Path, labels: Sequence[str]
    ) -> tuple[LinearHead, dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return the head and what the caller stored with it; raises BundleError when shapes do not fit."""
        from safetensors.numpy import load_file

        facts = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / WEIGHTS_FILE)
        calibration = facts["calibration"]
        knots: tuple[tuple[Floats, Floats], ...] = ()
        if calibration["kind"] == "isotonic":
            knots = tuple(
                (arrays.pop(f"knots.{i}.x"), arrays.pop(f"knots.{i}.y")) for i in range(len(labels))
            )
        head = LinearHead(
            _stored_weights(arrays),
            arrays.pop("bias"),
            Calibration.from_facts(calibration, len(labels), folder.name, knots),
        )
        if (
            head.weights.ndim != 2
            or head.weights.shape[1] != len(labels)
            or head.bias.shape != (len(labels),)
        ):
            raise BundleError(
                f"weights of shape {head.weights.shape} do not fit {len(labels)} labels",
                folder.name,
                "Build it again.",
            )
        return head, facts, arrays


def quantised(weights: Weights) -> dict[str, npt.NDArray[Any]]:
    """Return the tensors that stand for weights in 8 bits: codes of each label, and what its codes are multiples of."""
    scales = np.abs(weights).max(axis=0) / 127.0
    scales[scales == 0] = 1.0
    return {_CODES: np.rint(weights / scales).astype(np.int8), _SCALES: scales.astype(np.float32)}


def holds_codes(path: Path) -> bool:
    """Return whether a file of tensors holds weights in 8 bits, which versions before 0.2 cannot read."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as tensors:
        return _CODES in set(tensors.keys())


def _stored_weights(arrays: dict[str, npt.NDArray[Any]]) -> Weights:
    """Take the weights out of a head's tensors: in single or half precision, or in 8 bits as `quantised` writes them."""
    if _CODES in arrays:
        return np.asarray(arrays.pop(_CODES).astype(np.float32) * arrays.pop(_SCALES))
    return arrays.pop("weights").astype(np.float32, copy=False)
