"""Base class of all table models: features, member models, calibration, thresholds, explanations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.core.model import Cost, DataFacts, FitContext, Model, Reason
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.tables.additive import AdditiveModel
from rung.modalities.tables.features import TableFeatures
from rung.modalities.tables.fitted import FittedTable, MemberModel
from rung.modalities.tables.linear import LinearModel
from rung.modalities.tables.network import TableNetwork
from rung.modalities.tables.target_transform import TargetTransform
from rung.modalities.tables.tree_ensemble import TreeEnsemble
from rung.runtime.classification.decision_threshold import DecisionThreshold
from rung.runtime.linear.head import Calibration

Floats = npt.NDArray[np.float64]
_KINDS: dict[str, type[LinearModel] | type[TreeEnsemble] | type[AdditiveModel] | type[TableNetwork]] = {
    "linear": LinearModel,
    "trees": TreeEnsemble,
    "additive": AdditiveModel,
    "network": TableNetwork,
}


class TableModel(Model):
    """Base class of table models: one label or number a row. Families differ in the member models a fit may
    choose.

    FAMILIES: kinds of member models that are tried. MIXES: whether several may be combined.
    """

    NEEDS = "tables"
    TASKS = frozenset({"tabular_classification", "tabular_regression"})
    FAMILIES: ClassVar[tuple[str, ...]] = ()
    MIXES: ClassVar[bool] = False

    def __init__(self, schema: Schema, fitted: FittedTable) -> None:
        self._schema = schema
        self._fitted = fitted

    @classmethod
    def name(cls) -> str:
        """Return the name of the family: the name of its file."""
        return cls.__module__.rsplit(".", 1)[-1]

    @property
    def labels(self) -> tuple[str, ...]:
        return self._schema.labels

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._fitted.chosen

    @property
    def fitted(self) -> FittedTable:
        """Return the fitted parts, for those who write them in another language."""
        return self._fitted

    def raw(self, inputs: Columns) -> Floats:
        """Return [rows, outputs]: the weighted sum of the members' raw scores, before calibration."""
        cells = self._fitted.features.encode(inputs)
        pairs = zip(self._fitted.members, self._fitted.weights, strict=True)
        return np.asarray(sum(weight * part.raw(cells) for part, weight in pairs))

    def probabilities(self, inputs: Columns) -> Floats:
        """Return [rows, labels]; models of numbers have none."""
        return self._fitted.calibration.apply(self.raw(inputs))

    def predict(self, inputs: Columns) -> list[Prediction]:
        if not inputs or not len(next(iter(inputs.values()))):
            return []
        if self.labels:
            return self._fitted.decision.predictions(self.probabilities(inputs), self.labels, self.name())
        return self._fitted.target_transform.predictions(self.raw(inputs)[:, 0], self.name())

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return how far each column moved the prediction: in log odds of the predicted label, or in the
        target's units.

        Exact Shapley values of the members, by their weights. For a target learned on a logarithmic scale
        they are relative: 0.1 is one tenth more.
        """
        features, rows = self._fitted.features, len(next(iter(inputs.values()), ()))
        if not rows:
            return []
        cells = features.encode(inputs)
        pairs = zip(self._fitted.members, self._fitted.weights, strict=True)
        found = np.asarray(sum(weight * part.contributions(cells) for part, weight in pairs))
        names = [*features.number_sources, *features.categories]
        reasons = []
        for row, answer in enumerate(self.predict(inputs)):
            weights = self._towards(found[row], answer)
            total: dict[str, float] = {}
            for name, weight in zip(names, weights.tolist(), strict=True):
                total[name] = total.get(name, 0.0) + weight
            shown = features.shown(inputs, row)
            strongest = sorted(total.items(), key=lambda item: (-abs(item[1]), item[0]))[:most]
            reasons.append([Reason(shown[n], _rounded(w)) for n, w in strongest if abs(w) > 1e-9])
        return reasons

    def _towards(self, weights: Floats, answer: Prediction) -> Floats:
        """Return one weight a column: for the predicted label relative to the mean of the others, or for the
        number.
        """
        if not self.labels:
            return np.asarray(weights[:, 0] * self._fitted.target_transform.unit)
        own = self.labels.index(answer.value)
        others = (weights.sum(axis=1) - weights[:, own]) / max(len(self.labels) - 1, 1)
        return np.asarray((weights[:, own] - others) * self._fitted.calibration.scale)

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        fitted = self._fitted
        arrays = dict(fitted.features.arrays())
        kinds = []
        for place, part in enumerate(fitted.members):
            kinds.append(next(kind for kind, family in _KINDS.items() if isinstance(part, family)))
            arrays |= {f"part.{place}.{key}": array for key, array in part.arrays().items()}
            if isinstance(part, TreeEnsemble):
                part.save_onnx(folder / f"part.{place}.onnx")
        for place, (x, y) in enumerate(fitted.calibration.knots):
            arrays |= {f"knots.{place}.x": x, f"knots.{place}.y": y}
        kept = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        save_file(kept, folder / "table.safetensors")
        facts = {
            "features": fitted.features.as_dict(),
            "parts": kinds,
            "weights": list(fitted.weights),
            "calibration": {"kind": fitted.calibration.kind, "scale": fitted.calibration.scale},
            "decision": fitted.decision.as_dict(),
            "scale": fitted.target_transform.as_dict(),
            "chosen": dict(fitted.chosen),
        }
        (folder / "table.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        from safetensors.numpy import load_file

        facts = json.loads((folder / "table.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / "table.safetensors")
        members: list[MemberModel] = []
        for place, kind in enumerate(facts["parts"]):
            prefix = f"part.{place}."
            own = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
            part = _KINDS[kind].from_arrays(own)
            if isinstance(part, TreeEnsemble):
                part = part.with_fast_scorer(folder / f"part.{place}.onnx")
            members.append(part)
        knots = tuple(
            (arrays[f"knots.{i}.x"], arrays[f"knots.{i}.y"]) for i in range(len(schema.labels))
            if facts["calibration"]["kind"] == "isotonic"
        )  # fmt: skip
        features = TableFeatures.from_parts(facts["features"], arrays)
        unknown = {name for name, _ in features.numbers} | set(features.categories) | set(features.texts)
        if not unknown <= set(schema.input_names):
            raise BundleError("the model reads columns that the schema lacks", folder.name, "Build it again.")
        calibration = Calibration(facts["calibration"]["kind"], float(facts["calibration"]["scale"]), knots)
        decision, scale = (
            DecisionThreshold.from_dict(facts["decision"]),
            TargetTransform.from_dict(facts["scale"]),
        )
        fitted = FittedTable(
            features, tuple(members), tuple(facts["weights"]), calibration, decision, scale, facts["chosen"]
        )
        return cls(schema, fitted)

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return table_cost(cls.FAMILIES, cls.MIXES, facts, context)


def table_cost(families: Sequence[str], mixes: bool, facts: DataFacts, context: FitContext) -> Cost:
    """Return the planned cost of a model over members of these families; mixes: of several of them."""
    cells = facts.rows * max(facts.chars_per_row / 8, 1)
    each = {"linear": (8e-7, 0.0, 0.02), "additive": (6e-5, 4e-5, 0.1), "trees": (3e-6, 8e-5, 0.4)}
    each["network"] = (2e-4, 4e-4, 0.6)
    a_cell, a_row, mb = (max(each[family][i] for family in families) for i in range(3))
    tried = (1 + context.effort) * (2 if mixes else 1)
    fit = 0.3 + cells * a_cell * tried * max(facts.labels / 2, 1)
    answer = 1.5e-4 + a_row + (1.2e-4 if mixes else 0.0) + facts.chars_per_row * 2e-7
    size = mb * (3 if mixes else 1)
    return Cost(fit, answer * 1000, 60 + 3 * size + cells * 1e-5, size)


def _rounded(weight: float) -> float:
    return float(f"{weight:.4g}")
