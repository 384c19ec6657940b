"""model2vec's static embeddings with logistic regression, on the wordllama table that rung's own rung reads."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import joblib
import numpy as np
from model2vec import StaticModel
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer

from workers.job import Job


def main(folder: Path) -> None:
    """Fit, save, answer."""
    job = Job.read(folder)
    vectors = next(iter(load_file(job.weights / "embedding.safetensors").values())).astype(np.float32)
    # The table was trained for cosines, so its vectors are normalised.
    encoder = StaticModel(vectors, Tokenizer.from_file(str(job.weights / "tokenizer.json")), normalize=True)
    begun = time.perf_counter()
    head = LogisticRegression(max_iter=1000).fit(encoder.encode(job.train_texts), job.train_labels)
    fit = time.perf_counter() - begun
    encoder.save_pretrained(str(job.model / "encoder"))
    joblib.dump(head, job.model / "head.joblib")
    job.answer(lambda texts: head.predict(encoder.encode(texts)), fit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
