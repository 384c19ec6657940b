"""List the candidate models for a table, most promising first, by effort and number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.core.model import FitContext
from rung.training.tables.class_balance import RARE_SHARE, rarest_share
from rung.training.tables.model_selection import MANY_ROWS, ModelCandidate
from rung.training.tables.objective import TrainingTargets

# Shallow and regularised for few rows, deep for many; extremely randomised trees differ most from the rest.
_TREES: dict[str, dict[str, Any]] = {
    "small": {"num_leaves": 8, "feature_fraction": 0.5, "lambda_l2": 5.0},
    "stumps": {"num_leaves": 4, "max_depth": 2, "min_data_in_leaf": 10, "feature_fraction": 0.5},
    "medium": {"num_leaves": 24, "min_data_in_leaf": 20},
    "random": {"num_leaves": 24, "min_data_in_leaf": 10, "extra_trees": True},
    "large": {"num_leaves": 63, "min_data_in_leaf": 20, "lambda_l2": 1.0, "learning_rate": 0.05},
    "fast": {"num_leaves": 31, "learning_rate": 0.1, "feature_fraction": 0.8},
    "fine": {"num_leaves": 31, "learning_rate": 0.02, "feature_fraction": 0.4, "min_data_in_leaf": 10},
    "huge": {"num_leaves": 127, "learning_rate": 0.05, "feature_fraction": 0.5, "min_data_in_leaf": 40},
}
_FEW_ROWS = 3_000
# Below so many rows each tree sees a sample of them; above, that costs more than the variety brings.
_FULL_SAMPLE_ROWS, _BAGGING_FRACTION = 5_000, 0.9
_LINEAR = (
    ("plain", 0.1, 0), ("bent", 0.1, 3), ("plain-firm", 0.01, 0), ("plain-free", 1.0, 0), ("bent-free", 1.0, 3),
    ("bent-firm", 0.02, 3), ("plain-firmest", 0.001, 0), ("bent-wild", 10.0, 5),
)  # fmt: skip


def list_candidates(
    families: Sequence[str], mixes: bool, rows: int, y: TrainingTargets, params: Any, context: FitContext
) -> list[ModelCandidate]:
    """Return the candidates to try. params: the family's own; those that are set narrow the choice."""
    found: list[ModelCandidate] = []
    effort = context.effort
    if "linear" in families:
        most = (2, 3, 4, 6, 8, 8)[effort] if not mixes else (2, 2, 4, 6, 8, 8)[effort]
        numbers = y.codes is None
        for name, c, bends in _LINEAR[:most]:
            # Both penalties are relative to a sum over rows; targets with standard deviation 1 need a weaker
            # one.
            strength = c * 10 if numbers else c
            found.append(ModelCandidate("linear", f"linear {name}", {"c": strength, "bends": bends}))
    if "additive" in families:
        bags = (1, 2, 3, 4, 8, 14)[effort]
        pairs = (0, 10, 10, 10, 20, 40)[effort]
        found.append(ModelCandidate("additive", "curves", {"pairs": 0, "bags": bags}))
        found.append(ModelCandidate("additive", "curves and pairs", {"pairs": pairs, "bags": bags}))
    if "trees" in families:
        names = (
            ("small", "medium", "stumps", "random", "fine", "fast", "large")
            if rows < _FEW_ROWS
            else ("medium", "large", "small", "random", "fine", "fast", "stumps")
            if rows < MANY_ROWS
            else ("large", "medium", "fast", "random", "huge", "fine", "small")
        )
        most = (1, 2, 4, 6, 7, 7)[effort]
        share = {"bagging_fraction": 1.0 if rows >= _FULL_SAMPLE_ROWS else _BAGGING_FRACTION}
        found += [ModelCandidate("trees", f"trees {name}", share | _TREES[name]) for name in names[:most]]
        found += _random_trees((0, 0, 0, 0, 8, 24)[effort], rows, context.seed)
    if "network" in families:
        deep = {"layers": 3, "width": 192, "dropout": 0.15, "learning_rate": 1e-3}
        plain = {"frequencies": 0, "dropout": 0.2}
        networks = [("network", {}), ("network without periods", plain), ("deep network", deep)]
        shown = networks[: (1, 1, 1, 2, 3, 3)[effort]]
        found += [ModelCandidate("network", name, settings) for name, settings in shown]
    if context.effort and rarest_share(y) < RARE_SHARE:
        found = _with_balance(found, context.effort)
    return _with_fixed_params(found, params)


def _random_trees(count: int, rows: int, seed: int) -> list[ModelCandidate]:
    """Return trees with random settings (random search); the same for the same seed."""
    draw = np.random.default_rng(seed + 17)
    most = 48 if rows < _FEW_ROWS else 128 if rows < MANY_ROWS else 256
    found = []
    for number in range(count):
        settings = {
            "num_leaves": int(np.exp(draw.uniform(np.log(4), np.log(most)))),
            "learning_rate": float(np.exp(draw.uniform(np.log(0.02), np.log(0.1)))),
            "min_data_in_leaf": int(np.exp(draw.uniform(np.log(3), np.log(60)))),
            "feature_fraction": float(draw.uniform(0.3, 0.9)),
            "bagging_fraction": float(draw.uniform(0.6, 1.0)),
            "lambda_l2": float(np.exp(draw.uniform(np.log(0.1), np.log(30)))),
            "extra_trees": bool(draw.random() < 0.3),
        }
        found.append(ModelCandidate("trees", f"trees drawn {number + 1}", settings))
    return found


def _with_balance(found: list[ModelCandidate], effort: int) -> list[ModelCandidate]:
    """Return the candidates, the first of each family also with row weights and, from effort 3, with
    undersampling.
    """
    out: list[ModelCandidate] = []
    for candidate in found:
        first = all(candidate.family != other.family for other in out)
        out.append(candidate)
        if first:
            modes = ("weights", "thin") if effort > 2 else ("weights",)
            out += [
                ModelCandidate(
                    candidate.family, f"{candidate.name}, {kind}", {**candidate.settings, "balance": kind}
                )
                for kind in modes
            ]
    return out


def _with_fixed_params(found: list[ModelCandidate], params: Any) -> list[ModelCandidate]:
    """Return the candidates with the parameters that were set by hand, without duplicates."""
    given = {key: value for key, value in vars(params).items() if value is not None}
    out: list[ModelCandidate] = []
    for candidate in found:
        overrides = {key: value for key, value in given.items() if key in _FAMILY_PARAMS[candidate.family]}
        changed = ModelCandidate(candidate.family, candidate.name, {**candidate.settings, **overrides})
        if all(changed.settings != other.settings for other in out):
            out.append(changed)
    return out


_FAMILY_PARAMS = {
    "linear": {"c", "bends", "balance"},
    "additive": {"pairs", "bags", "balance"},
    "network": {
        "members",
        "width",
        "layers",
        "frequencies",
        "dropout",
        "epochs",
        "patience",
        "learning_rate",
        "bags",
        "balance",
    },
    "trees": {"num_leaves", "learning_rate", "min_data_in_leaf", "rounds", "bags", "balance"},
}
