"""Write the page of what `learning.py` and `learning_checks.py` measured."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from leaderboard import header, row

RESULTS = Path(__file__).parent / "results"
LINES, PAGE = RESULTS / "learning.jsonl", RESULTS / "learning.md"
Line = dict[str, Any]
TITLES = {
    "ten": "Ten newsgroups, a hundred rows a class",
    "rotten": "Rotten Tomatoes",
    "chinese": "Chinese reviews",
}
_CASES = {
    "chinese": ("learning.py --case chinese", "networks on Chinese reviews beside the best frozen rung"),
    "eight": (
        "learning.py --case eight",
        "eight rows a class beside frozen MiniLM with a logistic head, and SetFit",
    ),
    "pairs": ("learning_checks.py pairs", "`fewshot_encoder` on 40,000 rows with 200 labels: peak of memory"),
}
HEAD = """# Networks that learn

Written by `python benchmarks/learning.py --page` from the lines that its other calls measured, one contender at a time, each on
one thread of a machine that others used too: CPU seconds count, not the time of day. CPU seconds are of one fit from texts to a
model that can be saved, encoding included; answers are those of the saved and loaded model. Networks hold out a tenth of the
training rows to stop early and to calibrate; those from scratch then learn from all rows. Not run on a GPU.
"""


def lines() -> list[Line]:
    """Return everything measured so far."""
    return [json.loads(line) for line in LINES.read_text("utf-8").splitlines()] if LINES.is_file() else []


def record(case: str, name: str, found: Line) -> None:
    """Add a line, in place of an earlier one of the same contender."""
    kept = [line for line in lines() if (line["case"], line["name"]) != (case, name)]
    kept.append({"case": case, "name": name, "date": time.strftime("%Y-%m-%d"), **found})
    LINES.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    print(json.dumps(kept[-1]), flush=True)


def write_page(contenders: Sequence[str], product_rows: int, peers: Mapping[str, str]) -> None:
    """Write the page. contenders: names of a case's own, of which those without a line are named as missing. peers: key and title of
    each other contender.
    """
    found = lines()
    parts = [HEAD]
    for case, title in TITLES.items():
        parts += _texts(title, _of(found, case), contenders)
    for section in (_eight, _tables, _steps, _exports, _pairs):
        parts += section(found)
    parts += _products(found, product_rows)
    parts += _missing(found, peers)
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _missing(found: list[Line], peers: Mapping[str, str]) -> list[str]:
    """Name what can be measured and has no line yet: a figure that is not here was not reached either."""
    known = {(line["case"], line["name"]) for line in found}
    cases = {line["case"] for line in found}
    parts = [f"- `{call}`: {what}" for case, (call, what) in _CASES.items() if case not in cases]
    parts += [
        f"- `learning.py --case ten --only {key}`: {name}"
        for key, name in peers.items()
        if ("ten", name) not in known
    ]
    return ["\n## Written, and not measured yet\n", *parts] if parts else []


def _of(found: Iterable[Line], case: str) -> list[Line]:
    return [line for line in found if line["case"] == case]


def _texts(title: str, rows: list[Line], contenders: Sequence[str]) -> list[str]:
    if not rows:
        return []
    columns = ("contender", "accuracy", "fit, CPU s", "answers a CPU s", "MB", "date")
    parts = [f"\n## {title}\n", header(*columns)]
    for line in sorted(rows, key=lambda line: line["accuracy"] or 0.0):
        cut = line.get("steps")
        parts.append(
            row(
                line["name"],
                "" if line["accuracy"] is None else f"{line['accuracy']:.4f}",
                f"{line['cpu_seconds']:,.0f}"
                + (f" (extrapolated from {cut[0]} of {cut[1]:,} steps)" if cut else ""),
                f"{line['rows_per_cpu_s']:.0f}",
                f"{line['size_mb']:.1f}",
                line["date"],
            )
        )
    missing = [name for name in contenders if name not in {line["name"] for line in rows}]
    return [*parts, f"\nNot measured: {', '.join(missing)}."] if missing else parts


def _eight(found: list[Line]) -> list[str]:
    rows = _of(found, "eight")
    if not rows:
        return []
    parts = [
        "\n## Ten newsgroups, eight rows a class\n",
        "The mean of the draws shown, on every fourth test row; settings were chosen on other draws and other test rows.\n",
        header("contender", "accuracy", "of each draw", "fit, CPU s"),
    ]
    for line in rows:
        each = ", ".join(f"{accuracy:.3f}" for accuracy in line["accuracies"])
        shown = "" if line["accuracy"] is None else f"{line['accuracy']:.4f}"
        cut = line.get("steps")
        note = f" (extrapolated from {cut[0]} of {cut[1]:,} steps)" if cut else ""
        parts.append(row(line["name"], shown, each, f"{line['cpu_seconds']:,.0f}{note}"))
    return parts


def _tables(found: list[Line]) -> list[str]:
    rows = _of(found, "tables")
    if not rows:
        return []
    models = ("mlp_table", "autogluon_networks", "lightgbm", "boosted_trees", "stack", "stack with networks")
    parts = [
        "\n## Tables\n",
        "ROC-AUC, or R2 of numbers, on a quarter of the rows; one split, effort 2. LightGBM as `benchmarks/tabular.py` runs it, in an "
        "environment of its own; autogluon_networks: AutoGluon with its neural network alone (NN_TORCH, its defaults, two threads, at "
        "most 300 s; fastai needs packages that do not install here).\n",
        header("table", "training rows", *models, "CPU s of mlp_table, stack, stack with networks"),
    ]
    for line in rows:
        scores = (f"{line[model]:.4f}" if model in line else "" for model in models)
        seconds = ", ".join(
            f"{line[key]:.0f}" if (key := f"{model}_cpu_seconds") in line else "–"
            for model in ("mlp_table", "stack", "stack with networks")
        )
        parts.append(row(line["name"], f"{line['rows']:,}", *scores, seconds))
    labelled = [line for line in rows if line["name"] != "houses"]
    whole = [model for model in models if all(model in line for line in labelled)]
    means = (
        f"{sum(line[model] for line in labelled) / len(labelled):.4f}" if model in whole else ""
        for model in models
    )
    return [*parts, row(f"mean ROC-AUC of {len(labelled)}", "", *means, "")]


def _steps(found: list[Line]) -> list[str]:
    rows = _of(found, "steps")
    if not rows:
        return []
    parts = [
        "\n## A step of training\n",
        "MiniLM with a layer of ten labels, batches of 16 rows of 128 tokens, AdamW, gradients cut to length 1, one thread; the median of "
        "the steps after the third, and the peak of the whole process, imports included.\n",
        header("training", "CPU s a step", "of Trainer's", "peak MB", "of Trainer's", "steps", "date"),
    ]
    trainer = next((line for line in rows if line["name"] == "transformers.Trainer"), None)
    for line in rows:
        cells = []
        for key, form in (("step_seconds", ".3f"), ("peak_mb", ",.0f")):
            cells += [format(line[key], form), f"{line[key] / trainer[key]:.2f}" if trainer else ""]
        parts.append(row(line["name"], *cells, str(line["steps"]), line["date"]))
    return parts


def _exports(found: list[Line]) -> list[str]:
    rows = _of(found, "export")
    if not rows:
        return []
    parts = [
        "\n## Exported networks\n",
        "Five shapes of batches (rows x tokens 1 x 16, 8 x 32, 32 x 64, 16 x 128, 4 x 128), random ids and masks of their own; the "
        "greatest difference of a logit, and CPU seconds of torch (inference mode) by those of the ONNX file, both on one thread. Where "
        "matrix products take the time, both call kernels of about the same speed, so that transformers in float32 gain little; in 8 bits, "
        "as a fine-tuned encoder ships where its answers stay the same in 99 of 100 cases, it gains most, and logits differ by rounding.\n",
        header("network", "largest difference", "times as fast as torch", "one row of 128 tokens", "date"),
    ]
    return parts + [
        row(r["name"], f"{r['difference']:.1e}", f"{r['speedup']:.2f}", f"{r['speedup_one']:.2f}", r["date"])
        for r in rows
    ]


def _pairs(found: list[Line]) -> list[str]:
    return [
        f"\n## Many pairs\n\n`fewshot_encoder` on {line['rows']:,} real rows with {line['labels']} labels ({line['data']}), which form "
        f"{line['pairs']:,} pairs, none of them listed; {line['drawn']:,} rows drawn an epoch: {line['cpu_seconds']:,.0f} CPU seconds, "
        f"peak of the process {line['peak_mb']:,.0f} MB, imports and rows included ({line['date']})."
        for line in _of(found, "pairs")
    ]


def _products(found: list[Line], product_rows: int) -> list[str]:
    rows = _of(found, "products")
    if not rows:
        return []
    columns = (
        "network and data",
        "winner",
        "estimate",
        "of 500 served rows right",
        "latency ms",
        "MB",
        "build s",
    )
    parts = [
        "\n## Products that chose a network\n",
        f"Whole builds of {product_rows:,} rows with a certificate, the floor and one network on the ladder, few epochs: what matters is "
        "that the network was chosen, exported, certified and served, not its score.\n",
        header(*columns),
    ]
    return parts + [
        row(r["name"], str(r["winner"]), f"{r['estimate']:.3f}", f"{r['served_accuracy']:.3f}",
            f"{r['latency_ms']:.1f}", f"{r['size_mb']:.1f}", f"{r['build_seconds']:.0f}")
        for r in rows
    ]  # fmt: skip
