"""Which linear models and trees are worth trying on a table, likeliest first, by effort and size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.core.model import FitContext
from rung.training.tables.class_balance import RARE, rarest_share
from rung.training.tables.model_selection import MANY, Candidate
from rung.training.tables.objective import Goal

# Shallow and restrained for few rows, deep for many; the extremely randomised ones differ most from the rest.
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
_FEW = 3_000
# Below so many rows each tree sees a share of them; from there on that costs more than its variety brings.
_ENOUGH, _SHARE = 5_000, 0.9
_LINEAR = (
    ("plain", 0.1, 0), ("bent", 0.1, 3), ("plain-firm", 0.01, 0), ("plain-free", 1.0, 0), ("bent-free", 1.0, 3),
    ("bent-firm", 0.02, 3), ("plain-firmest", 0.001, 0), ("bent-wild", 10.0, 5),
)  # fmt: skip


def candidates(
    families: Sequence[str], mixes: bool, rows: int, goal: Goal, params: Any, context: FitContext
) -> list[Candidate]:
    """Return the configurations to try. params: a family's own, of which those that are set narrow the choice."""
    found: list[Candidate] = []
    effort = context.effort
    if "linear" in families:
        most = (2, 3, 4, 6, 8, 8)[effort] if not mixes else (2, 2, 4, 6, 8, 8)[effort]
        numbers = goal.codes is None
        for name, c, bends in _LINEAR[:most]:
            # The penalty of ridge is against a sum of squares over rows, that of logistic regression as well; numbers
            # of spread 1 leave less to be learned from each.
            strength = c * 10 if numbers else c
            found.append(Candidate("linear", f"linear {name}", {"c": strength, "bends": bends}))
    if "additive" in families:
        bags = (1, 2, 3, 4, 8, 14)[effort]
        pairs = (0, 10, 10, 10, 20, 40)[effort]
        found.append(Candidate("additive", "curves", {"pairs": 0, "bags": bags}))
        found.append(Candidate("additive", "curves and pairs", {"pairs": pairs, "bags": bags}))
    if "trees" in families:
        names = (
            ("small", "medium", "stumps", "random", "fine", "fast", "large")
            if rows < _FEW
            else ("medium", "large", "small", "random", "fine", "fast", "stumps")
            if rows < MANY
            else ("large", "medium", "fast", "random", "huge", "fine", "small")
        )
        most = (1, 2, 4, 6, 7, 7)[effort]
        share = {"bagging_fraction": 1.0 if rows >= _ENOUGH else _SHARE}
        found += [Candidate("trees", f"trees {name}", share | _TREES[name]) for name in names[:most]]
        found += _drawn((0, 0, 0, 0, 8, 24)[effort], rows, context.seed)
    if context.effort and rarest_share(goal) < RARE:
        found = _with_balance(found, context.effort)
    return _narrowed(found, params)


def _drawn(count: int, rows: int, seed: int) -> list[Candidate]:
    """Return trees with settings drawn at random, which find what no list thought of; the same for the same seed."""
    draw = np.random.default_rng(seed + 17)
    most = 48 if rows < _FEW else 128 if rows < MANY else 256
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
        found.append(Candidate("trees", f"trees drawn {number + 1}", settings))
    return found


def _with_balance(found: list[Candidate], effort: int) -> list[Candidate]:
    """Return candidates with the likeliest of each family also weighted, from effort 3 on also thinned."""
    out: list[Candidate] = []
    for candidate in found:
        first = all(candidate.family != other.family for other in out)
        out.append(candidate)
        if first:
            kinds = ("weights", "thin") if effort > 2 else ("weights",)
            out += [
                Candidate(
                    candidate.family, f"{candidate.name}, {kind}", {**candidate.settings, "balance": kind}
                )
                for kind in kinds
            ]
    return out


def _narrowed(found: list[Candidate], params: Any) -> list[Candidate]:
    """Return candidates with what was set by hand in place of what they would try; equal ones once."""
    given = {key: value for key, value in vars(params).items() if value is not None}
    out: list[Candidate] = []
    for candidate in found:
        own = {key: value for key, value in given.items() if key in _KNOWN[candidate.family]}
        changed = Candidate(candidate.family, candidate.name, {**candidate.settings, **own})
        if all(changed.settings != other.settings for other in out):
            out.append(changed)
    return out


_KNOWN = {
    "linear": {"c", "bends", "balance"},
    "additive": {"pairs", "bags", "balance"},
    "trees": {"num_leaves", "learning_rate", "min_data_in_leaf", "rounds", "bags", "balance"},
}
