"""SetFit on MiniLM: whole where it ends within the limit, else some steps timed and the rest extrapolated."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
from sklearn.linear_model import LogisticRegression
from transformers import TrainerCallback

from workers.job import Job
from workers.minilm import minilm

BATCH = 16
# The first step also warms up: it is not timed.
PROBE_STEPS = 6
# Beyond this many nothing ends within a limit, and all pairs of 11,000 rows do not fit into 24 GB of memory.
MOST_STEPS = 5000


def needed_steps(labels: list[str], iterations: int | None) -> int:
    """Return SetFit's number of steps of one epoch.

    By default as many positive as negative pairs, the fewer repeated ("oversampling"), a text with itself
    among the positive; with num_iterations that many of each kind a row.
    """
    counts = Counter(labels).values()
    positive = sum(n * (n + 1) // 2 for n in counts)
    negative = (len(labels) ** 2 - sum(n * n for n in counts)) // 2
    pairs = 2 * (iterations * len(labels) if iterations else max(positive, negative))
    return -(-pairs // BATCH)


class Watch(TrainerCallback):
    """Times the steps, and stops the fit after the probe when it would not end within the limit."""

    def __init__(self, needed: int, limit_s: float) -> None:
        self.needed = needed
        self.limit_s = limit_s
        self.ends: list[float] = []
        self.cpu_ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Called by the trainer after each step."""
        self.ends.append(time.perf_counter())
        self.cpu_ends.append(time.process_time())
        if len(self.ends) == PROBE_STEPS and self.step_seconds * self.needed > self.limit_s:
            control.should_training_stop = True
        return control

    @property
    def step_seconds(self) -> float:
        return _step(self.ends)

    @property
    def cpu_step_seconds(self) -> float:
        return _step(self.cpu_ends)


def _step(ends: list[float]) -> float:
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def main(folder: Path) -> None:
    """Fit, save, answer."""
    job = Job.read(folder)
    torch.set_num_threads(job.threads)
    iterations = job.options["num_iterations"]
    needed = needed_steps(job.train_labels, iterations)
    watch = Watch(needed, job.options["limit_s"])
    model = SetFitModel(
        model_body=minilm(job.weights),
        model_head=LogisticRegression(),
        labels=sorted(set(job.train_labels)),
    )
    begun, cpu = time.perf_counter(), time.process_time()
    arguments = TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        batch_size=BATCH,
        num_iterations=iterations,
        # The whole epoch, said in steps: SetFit then builds only the pairs that it draws.
        max_steps=needed if needed <= MOST_STEPS else PROBE_STEPS,
        save_strategy="no",
        report_to="none",
        seed=0,
    )
    rows = Dataset.from_dict({"text": job.train_texts, "label": job.train_labels})
    trainer = Trainer(model=model, args=arguments, train_dataset=rows)
    trainer.add_callback(watch)
    trainer.train()
    fit, cpu = time.perf_counter() - begun, time.process_time() - cpu
    model.save_pretrained(str(job.model))
    done = len(watch.ends)
    steps = None if done == needed else (done, needed)
    missing = needed - done
    cpu += missing * watch.cpu_step_seconds
    job.answer(lambda texts: model.predict(texts), fit, steps, missing * watch.step_seconds, cpu)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
