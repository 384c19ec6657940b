"""The model behind BentoML: `bentoml serve serve_bentoml:Posts`, two threads as by hand."""

from __future__ import annotations

import os
from typing import Any

import bentoml

import rung


@bentoml.service(threads=2, logging={"access": {"enabled": False}})
class Posts:
    def __init__(self) -> None:
        self.model = rung.load(os.environ["BUNDLE"])

    @bentoml.api
    def predict(self, inputs: dict[str, str]) -> dict[str, Any]:
        answer = self.model.predict([inputs["text"]])[0]
        return {"label": str(answer.value), "probability": answer.score}
