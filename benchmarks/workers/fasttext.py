"""fastText, supervised, with the settings its tutorial ends with; Chinese characters stand as words."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import fasttext

from workers.job import Job

# The tutorial's cleaning: marks stand apart, lower case. It knows no script without spaces, so each character
# of one is a word here; else a whole Chinese review would be one.
APART = re.compile(r"([.!?,'/()]|[\u3400-\u9fff])")


def words(text: str) -> str:
    """Return the text on one line as fastText reads it."""
    return " ".join(APART.sub(r" \1 ", text.lower()).split())


def main(folder: Path) -> None:
    """Fit, save, answer."""
    job = Job.read(folder)
    begun = time.perf_counter()
    # Numbers, since a label may hold a space.
    names = sorted(set(job.train_labels))
    number = {name: i for i, name in enumerate(names)}
    pairs = zip(job.train_labels, job.train_texts, strict=True)
    lines = [f"__label__{number[label]} {words(text)}\n" for label, text in pairs]
    (folder / "train.txt").write_text("".join(lines), encoding="utf-8")
    # Not autotune, fastText's own search: asked for one minute, it had not ended after nine on two busy cores.
    model = fasttext.train_supervised(
        str(folder / "train.txt"), lr=1.0, epoch=25, wordNgrams=2, thread=job.threads, verbose=0
    )
    fit = time.perf_counter() - begun
    model.save_model(str(job.model / "model.bin"))

    def predict(texts: list[str]) -> list[str]:
        found, _ = model.predict([words(text) for text in texts])
        # No word known: no label either.
        return [names[int(labels[0].removeprefix("__label__"))] if labels else "" for labels in found]

    job.answer(predict, fit)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
