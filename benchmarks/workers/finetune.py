"""MiniLM fine-tuned with transformers: by its Trainer or by a bare torch loop, on rows or, with `steps`, for its steps alone.

Both train the same module on batches of the same rows with AdamW, a linear schedule and gradients cut to length 1.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)

from workers.job import Job

WARM_UP = 0.1


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Rows as token ids with the number of their label."""

    def __init__(self, ids: list[list[int]], codes: list[int]) -> None:
        self.ids, self.codes = ids, codes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": self.ids[row], "labels": self.codes[row]}


class Clock(TrainerCallback):
    """CPU seconds of the process at the end of each step."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Called by the trainer after each step."""
        self.ends.append(time.process_time())
        return control


def by_trainer(model: Any, rows: Rows, collate: Any, asked: dict[str, Any], folder: Path) -> list[float]:
    """Train with transformers.Trainer and return when each step ended."""
    clock = Clock()
    arguments = TrainingArguments(
        output_dir=str(folder / "checkpoints"), per_device_train_batch_size=asked["batch"], num_train_epochs=asked["epochs"],
        max_steps=asked.get("steps") or -1, learning_rate=asked["rate"], warmup_steps=WARM_UP, weight_decay=0.01,
        save_strategy="no", report_to="none", use_cpu=True, seed=0, disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    trainer = Trainer(
        model=model, args=arguments, train_dataset=rows, data_collator=collate, callbacks=[clock]
    )
    trainer.train()
    return clock.ends


def by_loop(model: Any, rows: Rows, collate: Any, asked: dict[str, Any], folder: Path) -> list[float]:
    """Train with nothing but torch and return when each step ended."""
    loader = torch.utils.data.DataLoader(rows, asked["batch"], shuffle=True, collate_fn=collate)
    total = asked.get("steps") or asked["epochs"] * len(loader)
    optimizer = torch.optim.AdamW(model.parameters(), asked["rate"], weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(optimizer, round(WARM_UP * total), total)
    ends: list[float] = []
    model.train()
    for batch in endless(loader):
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        ends.append(time.process_time())
        if len(ends) == total:
            return ends
    return ends


def endless(loader: Any) -> Iterator[Any]:
    """Yield the loader's batches epoch after epoch."""
    while True:
        yield from loader


LOOPS = {"trainer": by_trainer, "loop": by_loop}


def main(folder: Path) -> None:
    """Train; then answer the test rows, or write the seconds of the steps and the peak of memory."""
    job = Job.read(folder)
    asked = job.options
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    labels = sorted(set(job.train_labels))
    tokenizer = AutoTokenizer.from_pretrained(str(job.weights))
    model = AutoModelForSequenceClassification.from_pretrained(str(job.weights), num_labels=len(labels))
    begun = time.process_time()
    ids = tokenizer(job.train_texts, truncation=True, max_length=asked["tokens"], padding=False)["input_ids"]
    rows = Rows(ids, [labels.index(label) for label in job.train_labels])
    ends = LOOPS[asked["by"]](model, rows, DataCollatorWithPadding(tokenizer), asked, folder)
    fit = time.process_time() - begun
    if asked.get("steps"):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = {"step_ends": ends, "peak_mb": peak}
        (folder / "result.json").write_text(json.dumps(found), encoding="utf-8")
        return
    model.save_pretrained(str(job.model))
    model.eval()

    @torch.no_grad()
    def predict(texts: list[str]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(texts), 32):
            part = texts[start : start + 32]
            read = tokenizer(part, truncation=True, max_length=256, padding=True, return_tensors="pt")
            found += [labels[code] for code in model(**read).logits.argmax(dim=1).tolist()]
        return found

    job.answer(predict, fit, cpu_seconds=fit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
