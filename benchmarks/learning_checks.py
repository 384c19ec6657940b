"""What a step of training, an exported network and many pairs cost: beside transformers, torch and the limit of memory.

    python benchmarks/learning_checks.py steps     # CPU seconds a step and peak memory: ours, transformers.Trainer, a bare loop
    python benchmarks/learning_checks.py export    # every network as ONNX: difference from torch, speed on one thread
    python benchmarks/learning_checks.py pairs     # fewshot_encoder on 40,000 rows with 200 labels: memory

Lines lie in benchmarks/results/learning.jsonl beside those of learning.py, whose `--page` writes the page of both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from debian_packages import packages_of_maintainers
from learning import RECIPE, TRAINER, examples
from learning_page import record
from peers import Peer, work
from sets import Split, ten_of_a_hundred

from rung.core import registry
from rung.core.model import FitContext
from rung.core.params import make_params

STEPS, WARM = 23, 3
NETWORKS = ("mlp", "cnn_text", "lstm", "gru", "transformer")
# Rows and tokens of a batch.
SHAPES = ((1, 16), (8, 32), (32, 64), (16, 128), (4, 128))
# Rows drawn for pairs in an epoch: the memory is that of the rows and a batch, however many are drawn.
PAIR_ROWS, PAIR_LABELS, PAIR_DRAWN = 40_000, 200, 500


@dataclass
class StepClock:
    """Takes the reports of a fit and keeps the CPU seconds at which each step ended."""

    ends: list[float] = field(default_factory=list)

    def report(self, step: int, total: int, metrics: Any) -> None:
        """Called by the trainer after each step."""
        self.ends.append(time.process_time())

    def cancelled(self) -> bool:
        """Never: the rows end first."""
        return False


def peak_mb() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def long_rows() -> Split:
    """Return as many rows of at least 128 tokens as the steps take: every batch has one shape."""
    from rung.modalities.text.network_model import encode_texts, open_tokenizer
    from rung.training.torch.encoder_finetune import encoder_source

    whole = ten_of_a_hundred()
    source = encoder_source("minilm", RECIPE["tokens"])
    ids = encode_texts(open_tokenizer(source.tokenizer), whole.train_texts, source.inputs)
    kept = [number for number, row in enumerate(ids) if len(row) == RECIPE["tokens"]]
    kept = kept[: STEPS * RECIPE["batch"]]
    # Every label, however the first rows fell.
    train = [(whole.train_texts[number], whole.train_labels[number]) for number in kept]
    return Split("steps", "", [text for text, _ in train], [label for _, label in train], [], [])


def own_steps() -> None:
    """Print the figures of our trainer on the long rows: the fine-tuned encoder without its frozen head's fit."""
    from rung.modalities.text.network_model import encode_texts, open_tokenizer
    from rung.runtime.linear.head import Calibration, LinearHead
    from rung.training.torch.encoder_finetune import encoder_source, make_classifier
    from rung.training.torch.text_classifier import TextLearner, TokenRows
    from rung.training.torch.trainer import train

    split = long_rows()
    labels = sorted(set(split.train_labels))
    source = encoder_source("minilm", RECIPE["tokens"])
    ids = encode_texts(open_tokenizer(source.tokenizer), split.train_texts, source.inputs)
    rows = TokenRows(ids, np.array([labels.index(label) for label in split.train_labels]))
    family = registry.model("finetuned_encoder")
    given = {"epochs": 1, "batch_rows": RECIPE["batch"], "learning_rate": RECIPE["rate"]}
    params = make_params(family.Params, given)
    width = source.weights.width * 3
    head = LinearHead(
        np.zeros((width, len(labels)), np.float32), np.zeros(len(labels), np.float32), Calibration()
    )
    clock = StepClock()
    context = FitContext(threads=1, channel=clock)  # type: ignore[arg-type]
    module = make_classifier(source, head, rows, params)
    train(TextLearner(module, rows, len(labels), params, context), params, context)
    print(json.dumps({"step_ends": clock.ends, "peak_mb": peak_mb()}))


def steps() -> None:
    """Measure a step of our trainer and of its peers."""
    split = long_rows()
    ours = subprocess.run(
        [sys.executable, __file__, "own-steps"], capture_output=True, text=True, check=True
    ).stdout
    found = {"finetuned_encoder": json.loads(ours.splitlines()[-1])}
    for by, title in (
        ("trainer", "transformers.Trainer"),
        ("loop", "a bare torch loop over the same transformers model"),
    ):
        asked = {**TRAINER.options, "by": by, "steps": STEPS}
        peer = Peer(title, TRAINER.worker, TRAINER.requirements, TRAINER.weights, asked, TRAINER.home)
        found[title] = work(peer, split, 1)
    for name, one in found.items():
        each = np.diff(np.array(one["step_ends"]))[WARM - 1 :]
        line = {"step_seconds": float(np.median(each)), "steps": len(each), "peak_mb": one["peak_mb"]}
        record("steps", name, line)


def export(only: str = "") -> None:
    """Compare every exported network whose name begins with `only` with the module that it was written from."""
    import torch

    from rung.runtime.onnx.session import OnnxFile
    from rung.runtime.onnx.trained_network import MODEL_FILE

    torch.set_num_threads(1)
    for name, module, content in _exported(only):
        file = OnnxFile(path_of(MODEL_FILE), content, MODEL_FILE)
        draw = np.random.default_rng(0)
        worst, took = 0.0, {"torch": 0.0, "onnx": 0.0}
        alone = dict(took)
        for rows, tokens in SHAPES:
            ids = draw.integers(1000, 20_000, (rows, tokens))
            lengths = draw.integers(max(tokens // 2, 1), tokens + 1, rows)
            mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
            if not name.startswith("finetuned"):
                worst = max(worst, _both(module, file, ids, mask, took))
                continue
            # The encoder's graph has no mask: it reads texts of one length.
            worst = max(worst, _both(module, file, ids, np.ones_like(mask), took))
        ids = draw.integers(1000, 20_000, (1, 128))
        _both(module, file, ids, np.ones_like(ids), alone, 30)
        speedup, one = took["torch"] / took["onnx"], alone["torch"] / alone["onnx"]
        record("export", name, {"difference": worst, "speedup": speedup, "speedup_one": one})


def path_of(name: str) -> Any:
    """Return a path for messages alone."""
    from pathlib import Path

    return Path(name)


def _both(module: Any, file: Any, ids: Any, mask: Any, took: dict[str, float], times: int = 10) -> float:
    """Return the greatest difference of a logit, and add the CPU seconds of both."""
    import torch

    feed = {"input_ids": ids} if module.__class__.__name__ == "BertClassifier" else {}
    feed = feed or {"input_ids": ids, "attention_mask": mask}
    read, seen = torch.as_tensor(ids), torch.as_tensor(mask, dtype=torch.float32)
    with torch.inference_mode():
        expected = module(read, seen).numpy()
        begun = time.process_time()
        for _ in range(times):
            module(read, seen)
        took["torch"] += time.process_time() - begun
    found = file.run("logits", feed)
    begun = time.process_time()
    for _ in range(times):
        file.run("logits", feed)
    took["onnx"] += time.process_time() - begun
    return float(np.abs(found - expected).max())


def _exported(only: str) -> Any:
    """Yield the name, the module and the ONNX file of each network; trained for one epoch on real rows, MiniLM as it is."""
    from rung.runtime.linear.head import Calibration, LinearHead
    from rung.training.torch.encoder_finetune import encoder_source, export_classifier, make_classifier
    from rung.training.torch.text_classifier import TokenRows
    from rung.training.torch.text_network_fit import prepare_rows, round_to_half, train_network
    from rung.training.torch.text_network_onnx import write_network

    split = ten_of_a_hundred()
    given = examples(split.train_texts[::4], split.train_labels[::4])
    labels = len(given.schema.labels)
    for name in NETWORKS:
        if not name.startswith(only):
            continue
        params = make_params(registry.model(name).Params, {"epochs": 1, "max_tokens": 128})
        learner, _ = train_network(
            name,  # type: ignore[arg-type]
            prepare_rows(given, params, FitContext()),
            params,
            FitContext(),
        )
        module = learner.module.eval()
        round_to_half(module)
        yield name, module.eval(), write_network(module, labels)
    if not "finetuned_encoder".startswith(only):
        return
    source = encoder_source("minilm", 128)
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(source.weights.width * 3, labels)).astype(np.float32)
    head = LinearHead(weights, np.zeros(labels, np.float32), Calibration())
    ids = [list(range(1000, 20_000))]
    for precision in ("float32", "int8"):
        params = make_params(registry.model("finetuned_encoder").Params, {})
        module = make_classifier(source, head, TokenRows(ids, np.zeros(1, np.int64)), params)
        files, _ = export_classifier(module, source, split.train_texts[:300], precision)
        yield f"finetuned_encoder, {precision}", module.eval(), files.content


def pairs() -> None:
    """Fit the few-shot encoder on many rows of many labels, and say what memory it took."""
    rows = packages_of_maintainers(PAIR_LABELS, PAIR_ROWS)
    given = examples([text for text, _ in rows], [label for _, label in rows])
    counts = Counter(label for _, label in rows)
    begun = time.process_time()
    family = registry.model("fewshot_encoder")
    family.fit(
        given,
        make_params(family.Params, {"max_tokens": 64, "train_tokens": 64, "most_drawn": PAIR_DRAWN}),
        FitContext(threads=1),
    )
    line = {
        "rows": len(rows), "labels": len(counts), "data": "descriptions of Debian packages by maintainer",
        "pairs": len(rows) * (len(rows) - 1) // 2, "drawn": PAIR_DRAWN, "cpu_seconds": time.process_time() - begun, "peak_mb": peak_mb(),
    }  # fmt: skip
    record("pairs", "fewshot_encoder", line)


CHECKS = {"steps": steps, "own-steps": own_steps, "export": export, "pairs": pairs}


def main() -> None:
    """Run the check that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--only", default="", help="of `export`: networks whose name begins so")
    asked = parser.parse_args()
    if asked.check == "export":
        export(asked.only)
    else:
        CHECKS[asked.check]()


if __name__ == "__main__":
    main()
