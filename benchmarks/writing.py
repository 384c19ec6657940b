"""Language models from scratch: bits per character on held-out documents of the Brown corpus and on held-out poems; speed of training and writing.

`python benchmarks/writing.py` writes benchmarks/results/writing.md. Rows that are held out are told by no model's training and by none of its
choices: a document of Brown, or a poem, stands on one side. Processor time of one thread.
"""

from __future__ import annotations

import argparse
import platform
import random
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from writing_data import brown, poems

from rung.core import registry
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples
from rung.modalities.text.corpus import passages
from rung.tasks.text_generation import TextGeneration

RESULT = Path(__file__).parent / "results" / "writing.md"
Pair = tuple[str, str]
MODELS: dict[str, dict[str, Any]] = {
    "ngram_writer": {},
    "lstm_writer": {},
    "transformer_writer": {},
    "seq2seq_writer": {},
}


def brown_pairs() -> list[list[Pair]]:
    """Return the passages of each document."""
    return [[(p.prompt, p.text) for p in passages(document)] for document in brown()]


def poem_pairs() -> list[list[Pair]]:
    """Return a line and the one after it, poem by poem."""
    return [list(zip(lines, lines[1:], strict=False)) for _, _, lines in poems()]


def parts(units: list[list[Pair]], chars: int) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Return training rows of so many characters, validation rows and held-out rows of a tenth each, unit by unit."""
    random.Random(0).shuffle(units)
    found: list[list[Pair]] = []
    place = 0
    for most in (chars, chars // 10, chars // 10):
        rows: list[Pair] = []
        while place < len(units) and sum(len(p) + len(t) for p, t in rows) < most:
            rows += units[place]
            place += 1
        found.append(rows)
    return found[0], found[1], found[2]


def examples(rows: Sequence[Pair]) -> Examples:
    """Return rows as examples."""
    task = TextGeneration()
    schema = task.with_writing(task.schema(("prompt",), []), None)
    numbers = list(range(1, len(rows) + 1))
    inputs = {"prompt": [prompt for prompt, _ in rows], "options": [None] * len(rows)}
    return Examples(
        schema, inputs, [text for _, text in rows], [f"{n:016x}" for n in numbers], numbers, [0.0] * len(rows)
    )


def measure(name: str, params: dict[str, Any], rows: tuple[list[Pair], list[Pair], list[Pair]]) -> str:
    """Return the row of a model in the table."""
    learn, validation, held = rows
    family = registry.model(name)
    context = FitContext(effort=0, validation=examples(validation))
    begun = time.process_time()
    model: Any = family.fit(examples(learn), make_params(family.Params, params), context)
    fit = time.process_time() - begun
    begun, bits, chars = time.process_time(), 0.0, 0
    for prompt, text in held:
        own, length = model.language.bits(prompt, text)
        bits, chars = bits + own, chars + length
    begun, written, first = time.process_time(), 0, []
    for prompt, _ in held[:20]:
        start = time.process_time()
        stream = model.stream({"prompt": prompt, "options": {"max_chars": 200, "temperature": 0.8}})
        pieces = [next(stream, "")]
        first.append(time.process_time() - start)
        written += len("".join([*pieces, *stream]))
    spent = time.process_time() - begun
    epochs = len(model.training.get("loss", ())) or 1
    trained = sum(len(p) + len(t) for p, t in learn) * epochs
    print(name, f"{bits / chars:.3f}", f"{fit:.0f} s", flush=True)
    chosen = f"{model.chosen['unit']}, {model.chosen['units']:,}"
    return (
        f"| `{name}` | {chosen} | {bits / chars:.3f} | {fit:.0f} | {trained / fit * 60:,.0f} | {written / spent:,.0f} | "
        f"{sorted(first)[len(first) // 2] * 1000:.1f} |"
    )


def main() -> None:
    """Measure, and write the page."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--chars", type=int, default=400_000)
    asked.add_argument("--epochs", type=int, default=4)
    asked.add_argument("--only", choices=("brown", "poems"))
    asked.add_argument("--out", type=Path, default=RESULT)
    given = asked.parse_args()
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "onnxruntime", "numpy", "tokenizers")
    )
    out = [
        "# Writing: language models from scratch\n",
        f"`python benchmarks/writing.py --chars {given.chars} --epochs {given.epochs}`, {date.today().isoformat()}, {platform.machine()}, one thread on a machine that did other work; seconds are of the "
        f"processor; {packages}; seed 0. Bits per character are of texts after their prompts, ends included, on documents or poems that neither training nor any choice has "
        "read. Writing: at temperature 0.8. First: processor time to the first sentence, median of 20.\n",
    ]  # fmt: skip
    for title, units in (
        ("Brown corpus, passages of 800 characters", brown_pairs()),
        ("Tang poems, the line after a line", poem_pairs()),
    ):
        if given.only and not title.casefold().startswith({"brown": "brown", "poems": "tang"}[given.only]):
            continue
        rows = parts(units, given.chars)
        counts = ", ".join(
            f"{len(own):,} rows {what}"
            for own, what in zip(rows, ("train", "validate", "are held out"), strict=True)
        )
        out += [
            f"## {title}\n",
            f"{counts}.\n",
            "| model | units | bits per character | fit, s | training characters a minute | writing, characters/s | first, ms |",
            "|---|---|---|---|---|---|---|",
        ]
        out += [
            measure(name, {**params, **({"epochs": given.epochs} if name != "ngram_writer" else {})}, rows)
            for name, params in MODELS.items()
        ]
        out.append("")
        given.out.write_text("\n".join(out) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
