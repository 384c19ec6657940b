"""AutoGluon's TabularPredictor on one column of text."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pandas as pd
from autogluon.tabular import TabularPredictor

from workers.job import Job


def main(folder: Path) -> None:
    """Fit, answer; the predictor saves itself as it fits."""
    job = Job.read(folder)
    begun = time.perf_counter()
    table = pd.DataFrame({"text": job.train_texts, "label": job.train_labels})
    predictor = TabularPredictor(label="label", path=str(job.model), verbosity=1).fit(
        table,
        presets="medium_quality",
        time_limit=job.options["time_limit_s"],
        num_cpus=job.threads,
        num_gpus=0,
    )
    fit = time.perf_counter() - begun
    job.answer(lambda texts: predictor.predict(pd.DataFrame({"text": texts})).tolist(), fit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
