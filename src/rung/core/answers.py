"""Predictions as lines of JSON: how an answer travels from one process to another."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rung.core.types import Prediction


def answer_to_json(answer: Prediction) -> str:
    """Return a prediction as one line; numbers keep every bit."""
    return json.dumps({**vars(answer), "extra": dict(answer.extra)}, default=_plain)


def answer_from_json(line: str) -> Prediction:
    """Return the prediction of a line; its probabilities are an array again."""
    raw = json.loads(line)
    extra = raw.pop("extra")
    if "probabilities" in extra:
        extra["probabilities"] = np.array(extra["probabilities"])
    return Prediction(**raw, extra=extra)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON")
