"""What a person writes in half an hour: a model behind FastAPI; no keys, no journal, no metrics, no limits."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

import rung

model, app = rung.load(sys.argv[1]), FastAPI()


class Row(BaseModel):
    text: str


class Ask(BaseModel):
    inputs: Row


@app.post("/predict")
def predict(asked: Ask) -> dict[str, Any]:
    answer = model.predict([asked.inputs.text])[0]
    return {"label": str(answer.value), "probability": answer.score}


uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
