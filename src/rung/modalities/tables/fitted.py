"""The fitted parts of a table model, their scores and their files: features, member models, weights, calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.core.model import Reason
from rung.core.types import Columns, Prediction
from rung.modalities.tables.additive import AdditiveModel
from rung.modalities.tables.features import TableFeatures
from rung.modalities.tables.linear import LinearModel
from rung.modalities.tables.network import TableNetwork
from rung.modalities.tables.target_transform import TargetTransform
from rung.modalities.tables.tree_ensemble import TreeEnsemble
from rung.runtime.classification.decision_threshold import DecisionThreshold
from rung.runtime.linear.head import Calibration

Floats = npt.NDArray[np.float64]
MemberModel = LinearModel | TreeEnsemble | AdditiveModel | TableNetwork
_KINDS: dict[str, type[LinearModel] | type[TreeEnsemble] | type[AdditiveModel] | type[TableNetwork]] = {
    "linear": LinearModel,
    "trees": TreeEnsemble,
    "additive": AdditiveModel,
    "network": TableNetwork,
}
_ARRAYS, _FACTS = "table.safetensors", "table.json"


@dataclass(frozen=True)
class FittedTable:
    """weights: of the members, summing to 1. calibration and decision: for labels. target_transform: for
    numbers. chosen: what the fit chose, for report and card.
    """

    features: TableFeatures
    members: tuple[MemberModel, ...]
    weights: tuple[float, ...]
    calibration: Calibration
    decision: DecisionThreshold
    target_transform: TargetTransform
    chosen: Mapping[str, Any]

    @property
    def kinds(self) -> list[str]:
        """Return the kind of each member: linear, trees, additive or network."""
        return [
            next(kind for kind, family in _KINDS.items() if isinstance(part, family)) for part in self.members
        ]

    def raw(self, inputs: Columns) -> Floats:
        """Return [rows, outputs]: the weighted sum of the members' raw scores, before calibration."""
        cells = self.features.encode(inputs)
        pairs = zip(self.members, self.weights, strict=True)
        return np.asarray(sum(weight * part.raw(cells) for part, weight in pairs))

    def probabilities(self, inputs: Columns) -> Floats:
        """Return [rows, labels]."""
        return self.calibration.apply(self.raw(inputs))

    def predictions(self, inputs: Columns, labels: Sequence[str], by: str) -> list[Prediction]:
        """Return an answer a row: one of the labels, or a number where there are none. by: the name of the family."""
        if labels:
            return self.decision.predictions(self.probabilities(inputs), labels, by)
        return self.target_transform.predictions(self.raw(inputs)[:, 0], by)

    def explain(
        self, inputs: Columns, labels: Sequence[str], most: int, answer: str | None = None
    ) -> list[list[Reason]]:
        """Return how far each column moved each row's answer, or this one, the strongest first; see `TableModel.explain`."""
        cells = self.features.encode(inputs)
        pairs = zip(self.members, self.weights, strict=True)
        found = np.asarray(sum(weight * part.contributions(cells) for part, weight in pairs))
        given = (
            [answer] * len(found)
            if answer is not None
            else [one.value for one in self.predictions(inputs, labels, "")]
        )
        return [
            self._reasons(inputs, row, self._towards(found[row], labels, own), most)
            for row, own in enumerate(given)
        ]

    def _towards(self, weights: Floats, labels: Sequence[str], answer: Any) -> Floats:
        """Return one weight a column: for the predicted label relative to the mean of the others, or for the
        number.
        """
        if not labels:
            return np.asarray(weights[:, 0] * self.target_transform.unit)
        own = labels.index(answer)
        others = (weights.sum(axis=1) - weights[:, own]) / max(len(labels) - 1, 1)
        return np.asarray((weights[:, own] - others) * self.calibration.scale)

    def _reasons(self, inputs: Columns, row: int, weights: Floats, most: int) -> list[Reason]:
        names = [*self.features.number_sources, *self.features.categories]
        total: dict[str, float] = {}
        for name, weight in zip(names, weights.tolist(), strict=True):
            total[name] = total.get(name, 0.0) + weight
        shown = self.features.shown(inputs, row)
        strongest = sorted(total.items(), key=lambda item: (-abs(item[1]), item[0]))[:most]
        return [Reason(shown[n], float(f"{w:.4g}")) for n, w in strongest if abs(w) > 1e-9]

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        arrays = dict(self.features.arrays())
        for place, part in enumerate(self.members):
            arrays |= {f"part.{place}.{key}": array for key, array in part.arrays().items()}
            if isinstance(part, TreeEnsemble):
                part.save_onnx(folder / f"part.{place}.onnx")
        for place, (x, y) in enumerate(self.calibration.knots):
            arrays |= {f"knots.{place}.x": x, f"knots.{place}.y": y}
        kept = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        save_file(kept, folder / _ARRAYS)
        facts = {
            "features": self.features.as_dict(),
            "parts": self.kinds,
            "weights": list(self.weights),
            "calibration": {"kind": self.calibration.kind, "scale": self.calibration.scale},
            "decision": self.decision.as_dict(),
            "scale": self.target_transform.as_dict(),
            "chosen": dict(self.chosen),
        }
        (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, inputs: Sequence[str], labels: int) -> FittedTable:
        """Return what `save` wrote; raises BundleError where it reads columns that are not among these inputs."""
        from safetensors.numpy import load_file

        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        arrays = load_file(folder / _ARRAYS)
        members: list[MemberModel] = []
        for place, kind in enumerate(facts["parts"]):
            prefix = f"part.{place}."
            own = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
            part = _KINDS[kind].from_arrays(own)
            if isinstance(part, TreeEnsemble):
                part = part.with_fast_scorer(folder / f"part.{place}.onnx")
            members.append(part)
        knots = tuple(
            (arrays[f"knots.{i}.x"], arrays[f"knots.{i}.y"]) for i in range(labels)
            if facts["calibration"]["kind"] == "isotonic"
        )  # fmt: skip
        features = TableFeatures.from_parts(facts["features"], arrays)
        unknown = {name for name, _ in features.numbers} | set(features.categories) | set(features.texts)
        if not unknown <= set(inputs):
            raise BundleError("the model reads columns that the schema lacks", folder.name, "Build it again.")
        return cls(
            features, tuple(members), tuple(facts["weights"]),
            Calibration(facts["calibration"]["kind"], float(facts["calibration"]["scale"]), knots),
            DecisionThreshold.from_dict(facts["decision"]), TargetTransform.from_dict(facts["scale"]), facts["chosen"],
        )  # fmt: skip
