"""sentence-transformers' frozen MiniLM with logistic regression."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import joblib
import torch
from sklearn.linear_model import LogisticRegression

from workers.job import Job
from workers.minilm import minilm


def main(folder: Path) -> None:
    """Fit, save, answer."""
    job = Job.read(folder)
    torch.set_num_threads(job.threads)
    encoder = minilm(job.weights)
    begun = time.perf_counter()
    vectors = encoder.encode(job.train_texts, show_progress_bar=False)
    head = LogisticRegression(max_iter=1000).fit(vectors, job.train_labels)
    fit = time.perf_counter() - begun
    encoder.save(str(job.model / "encoder"))
    joblib.dump(head, job.model / "head.joblib")
    job.answer(lambda texts: head.predict(encoder.encode(texts, show_progress_bar=False)), fit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
