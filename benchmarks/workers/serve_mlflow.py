"""The model as MLflow's server has it: `serve_mlflow.py BUNDLE FOLDER` writes it there for `mlflow models serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import mlflow

import rung


class Posts(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    def load_context(self, context: Any) -> None:
        self.model = rung.load(os.environ["BUNDLE"])

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[dict[str, Any]]:
        answers = self.model.predict([str(text) for text in model_input["text"]])
        return [{"label": str(answer.value), "probability": answer.score} for answer in answers]


if __name__ == "__main__":
    # As a file, not as an object: MLflow would pickle that.
    mlflow.pyfunc.save_model(str(Path(sys.argv[1])), python_model=__file__)
else:
    mlflow.models.set_model(Posts())
