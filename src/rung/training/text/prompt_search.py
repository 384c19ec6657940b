"""Choose a prompt on training rows: a small search over instruction, examples and their order, and a calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rung.core.types import Prediction
from rung.modalities.text.prompting import PromptPlan
from rung.runtime.llm.label_confidence import mended

Probability = npt.NDArray[np.float64]
# Rows asked about for each candidate, by effort: a plan below 2 is taken as it is.
SEARCH_ROWS = {0: 0, 1: 0, 2: 24, 3: 48, 4: 96, 5: 192}
_TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
_MIXED = (0.01, 0.03, 0.1, 0.2, 0.4)


@dataclass(frozen=True)
class PromptFound:
    """The plan that won, what it scored, the rows it was asked, and how its probabilities are mended."""

    plan: PromptPlan
    accuracy: float
    rows: int
    tried: int
    temperature: float = 1.0
    mixed: float = 0.05


def candidates(plan: PromptPlan, effort: int) -> list[PromptPlan]:
    """Return the plans to try, the given one first."""
    found = [plan, replace(plan, examples=0)]
    if effort >= 3 and plan.examples:
        found += [
            replace(plan, nearest_last=not plan.nearest_last),
            replace(plan, examples=(plan.examples + 1) // 2),
        ]
    other = "careful" if plan.instruction == "plain" else "plain"
    found.append(replace(plan, instruction=other))
    if effort >= 4:
        found.append(replace(plan, instruction=other, examples=0))
    return [plan for place, plan in enumerate(found) if plan not in found[:place]]


def search_prompts(
    plans: Sequence[PromptPlan],
    truths: Sequence[str],
    ask: Callable[[PromptPlan], list[Prediction]],
    labels: Sequence[str],
    report: Callable[[int, int], None],
) -> PromptFound:
    """Return the plan with the most right answers; of equals the first with the fewest examples.

    ask: returns the answers of a plan to rows with these truths.
    """
    scored = []
    for number, plan in enumerate(plans, 1):
        answers = ask(plan)
        right = sum(answer.value == truth for answer, truth in zip(answers, truths, strict=True))
        scored.append((right, -plan.examples, -number, plan, answers))
        report(number, len(plans))
    right, _, _, plan, answers = max(scored, key=lambda each: each[:3])
    rows = np.array([answer.extra["probabilities"] for answer in answers]).reshape(-1, len(labels))
    codes = np.array([list(labels).index(truth) for truth in truths], dtype=np.int64)
    temperature, mixed = calibrate(rows, codes)
    return PromptFound(plan, right / max(len(truths), 1), len(truths), len(plans), temperature, mixed)


def calibrate(probabilities: Probability, codes: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return the temperature and the share of even odds with the least log loss on rows of known labels."""
    if not len(codes):
        return 1.0, 0.05
    losses = {
        (temperature, mixed): float(
            -np.log(mended(probabilities, temperature, mixed)[np.arange(len(codes)), codes]).mean()
        )
        for temperature in _TEMPERATURES
        for mixed in _MIXED
    }
    return min(losses, key=lambda key: losses[key])
