"""The section `bar`: conditions that a certified bound must meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from rung.core.spec.data import Section


class Condition(Section):
    """One condition of the bar."""

    metric: str = Field(
        min_length=1,
        description="accuracy, macro_f1, f1:<label>, roc_auc:<label>, sensitivity:<label>, specificity:<label>, log_loss, coverage, selective_accuracy, ...",
    )
    at_least: float | None = Field(
        default=None, allow_inf_nan=False, description="lower limit that the certified bound must reach"
    )
    at_most: float | None = Field(
        default=None, allow_inf_nan=False, description="upper limit that the certified bound must not exceed"
    )
    confidence: float = Field(
        default=0.95, ge=0.5, le=0.9999, description="confidence level of the certificate"
    )

    @model_validator(mode="after")
    def _one_side(self) -> Condition:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of at_least and at_most")
        return self

    @property
    def level(self) -> float:
        """Return the value of at_least or at_most."""
        return self.at_least if self.at_least is not None else float(self.at_most or 0.0)

    @property
    def higher_is_better(self) -> bool:
        return self.at_least is not None

    def met_by(self, value: float) -> bool:
        """Return whether a score or bound meets the condition."""
        return value >= self.level if self.higher_is_better else value <= self.level


def out_of_range(condition: Mapping[str, Any], place: str) -> list[tuple[str, str, str]]:
    """Return the limits of a condition that lie outside 0 to 1 although the metric does not."""
    metric = str(condition.get("metric"))
    if metric not in {"accuracy", "macro_f1", "coverage", "selective_accuracy"} and not metric.startswith(
        ("f1:", "roc_auc:", "sensitivity:", "specificity:")
    ):
        return []
    found = []
    for key in ("at_least", "at_most"):
        level = condition.get(key)
        if isinstance(level, int | float) and (level < 0 or level > 1):
            fix = f"Write {level / 100:g}." if 1 < level <= 100 else "Choose a number between 0 and 1."
            found.append((f"{place}.{key}", f"{metric} is between 0 and 1, not {level:g}.", fix))
    return found
