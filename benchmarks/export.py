"""Exports of real models: size, time of an answer, agreement with the server on rows that were not learned from and on those that were.

Run: python benchmarks/export.py [NAME ...]   (writes results/export.md; names: those of CASES)
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peers import HERE

from rung.building.pack import pack, selftest_places
from rung.core import registry
from rung.core.blobs import Blob
from rung.core.certificate_lock import CertificateLock
from rung.core.model import FitContext, Fitted
from rung.core.spec.product import parse_product
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import prepare
from rung.exporting.browser import code
from rung.exporting.source import Source, answered_rows
from rung.workflows.export import TARGETS

EXAMPLES = HERE.parent / "examples"


@dataclass(frozen=True)
class Case:
    """A model of an example. targets: where it is exported to. compared: rows at most; networks take long for each."""

    example: str
    family: str
    targets: Sequence[str]
    params: dict[str, Any]
    effort: int = 1
    most_rows: int = 10_000
    compared: int = 100_000


CASES = {
    "income": Case("income", "boosted_trees", ("c", "browser"), {}, 0, 6_000),
    "income-linear": Case("income", "linear_table", ("c", "browser"), {}, 0, 6_000),
    "news": Case("news", "tfidf_linear", ("browser", "wheel"), {"use_chars": False}),
    "sentiment": Case("sentiment", "static_embedding", ("browser", "wheel"), {}),
    "digits": Case("digits", "hog_linear", ("browser",), {}),
    "sentiment-encoder": Case(
        "sentiment", "frozen_encoder", ("browser",), {"weights": "minilm"}, 0, 1_500, 1_500
    ),
    "things": Case("things", "frozen_backbone", ("browser",), {"model": "mobilenet_v2"}, 0, 1_000, 1_000),
}


# Eighteen words of one token each, and two special tokens.
_TWENTY = "the film is a quiet and very good story of a man who went home in the end"
_COLD = """import { readFileSync } from "node:fs";
const begun = process.cpuUsage(), spent = (from) => { const { user, system } = process.cpuUsage(from); return (user + system) / 1e6; };
const model = (await import("./index.mjs")).default, cold = spent(begun);
const row = JSON.parse(readFileSync("row.json", "utf8")), times = [];
for (let i = 0; i < 10; i++) await model.answerOne(row);
const warm = process.cpuUsage();
for (let i = 0; i < 60; i++) { const start = performance.now(); await model.answerOne(row); times.push(performance.now() - start); }
const cpu = (1000 * spent(warm)) / 60;
times.sort((a, b) => a - b);
console.log(JSON.stringify({ cold_cpu_s: cold, warm_ms: times[30], least_ms: times[0], warm_cpu_ms: cpu }));
"""


def cold_start(folder: Path, row: str) -> dict[str, float]:
    """Return CPU-seconds from nothing to a session in Node.js, and the time of an answer afterwards; {} without a network."""
    if not (folder / "runtime.js").is_file():
        return {}
    (folder / "row.json").write_text(row, encoding="utf-8")
    (folder / "cold.mjs").write_text(_COLD, encoding="utf-8")
    said = subprocess.run(["node", "cold.mjs"], cwd=folder, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(said)
    names = [path for path in folder.iterdir() if path.suffix == ".js" and path.name != "model.js"]
    return found | {"payload_mb": sum(len(gzip.compress(path.read_bytes(), 6)) for path in names) / 1e6}


def bundle_of(case: Case, folder: Path) -> tuple[Path, Any]:
    """Fit one model of an example on training rows, pack it, and return the bundle and all its rows."""
    spec = (EXAMPLES / case.example / "product.yaml").read_text(encoding="utf-8")
    product = parse_product(spec)
    task = registry.task(product.task)
    product = with_inputs(product, EXAMPLES / case.example, task)
    (folder / "data").mkdir()
    data = prepare(
        product, EXAMPLES / case.example, task, CertificateLock(folder / "certificate.lock"), folder / "data"
    )
    train, other = read_examples(data, "train"), read_examples(data, "certification")
    family = registry.model(case.family)
    learned = train.take(range(0, len(train), max(len(train) // case.most_rows, 1)))
    model = family.fit(
        learned, family.Params(**case.params), FitContext(effort=case.effort, seed=product.seed)
    )
    (folder / "model").mkdir()
    model.save(folder / "model")
    loaded = family.load(folder / "model", train.schema)
    sample = train.take(selftest_places(len(train)))
    fitted = Fitted(folder / "model", 0.0, 0.0, model.chosen, "", {})
    (folder / "bundle").mkdir()
    pack(
        folder / "bundle",
        product,
        task,
        (case.family, case.family),
        fitted,
        (sample, loaded.predict(sample.inputs)),
        {"rows": len(train)},
    )
    return folder / "bundle", [*other.records(), *train.records()]


def measure(name: str, case: Case) -> list[dict[str, Any]]:
    """Return a row of figures for each target and place."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        bundle, rows = bundle_of(case, Path(scratch))
        source = Source.open(bundle)
        compared = answered_rows(source, rows[: case.compared], "file", name)
        for target in case.targets:
            folder = Path(scratch) / target
            folder.mkdir()
            TARGETS[target].write(source, folder)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
            field, first = next(iter(compared.inputs[0].items()))
            row = base64.b64encode(first.read()).decode() if isinstance(first, Blob) else _TWENTY
            cold = cold_start(folder, json.dumps({field: row}))
            for check in TARGETS[target].check(source, folder, compared):
                facts = check.as_dict() | cold
                facts |= {"case": name, "family": case.family, "target": target, "mb": size}
                print(json.dumps(facts), flush=True)
                found.append(facts)
    return found


def shown_time(milliseconds: float) -> str:
    """Return a time, or a dash where it was not measured or a browser's clock is too coarse for it."""
    return f"{milliseconds:.4f}" if milliseconds else "-"


def page(rows: list[dict[str, Any]]) -> str:
    """Return the page of results."""
    js, whole = code(images=False, networks=False).encode(), code().encode()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "predict.js"
        path.write_bytes(js)
        packed = len(subprocess.run(["gzip", "-9c", str(path)], capture_output=True, check=True).stdout)
    lines = [
        "# Exports", "",
        f"Written by `benchmarks/export.py` on {date.today()}; {rows[0]['cpu']}, {', '.join(rows[0]['cpu_features'])}; "
        f"Python {platform.python_version()}, numpy {version('numpy')}, on cores shared with other work. Models fitted at effort 0 or 1 on at most 10,000 training rows, seed 0.", "",
        f"Code of the browser export: {len(js) / 1000:.0f} kB ({packed / 1000:.0f} kB gzipped) for texts and tables, {len(whole) / 1000:.0f} kB with images and networks; WebAssembly for networks alone. "
        "Rows: all of the example, those that the model did not learn from first. Milliseconds are the median of single answers by the clock of "
        "that place (C: the whole program, reading and printing included, over its rows); a dash: not measured, or below the step of a browser's clock.", "",
        "| model | target | where | rows | equal | lower bound, 95 % | largest difference | MB | ms an answer |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        lines.append(
            f"| {row['case']} ({row['family']}) | {row['target']} | {row['where']}, {row['versions'].split(' built')[0]} | {row['rows']:,} | "
            f"{row['equal']:,} | {row['lower_bound']:.5f} | {row['largest_difference']:.2g} | {row['mb']:.2f} | {shown_time(row['milliseconds'])} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            *network_lines(rows),
            "Rows of networks: the first of those that the model did not learn from. Not measured here: containers, phones, other processors.",
            "",
        ]
    )


def network_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of cold starts."""
    shown = [row for row in rows if "cold_cpu_s" in row and row["where"].startswith("Node.js")]
    if not shown:
        return []
    return [
        "Networks in Node.js. Cold: CPU-seconds from nothing (code, runtime and model read and unpacked) to a session. Then the time of an answer to 20 tokens, "
        "or to an image; CPU is that of the whole process, so that other work on the cores counts less. Payload: code and runtime as gzip, without the model.", "",
        "| model | cold, CPU s | ms, middle | ms, least | CPU ms | payload, MB |", "|---|---|---|---|---|---|",
        *(
            f"| {row['case']} ({row['family']}) | {row['cold_cpu_s']:.2f} | {row['warm_ms']:.1f} | {row['least_ms']:.1f} | {row['warm_cpu_ms']:.1f} | {row['payload_mb']:.2f} |"
            for row in shown
        ),
        "",
    ]  # fmt: skip


def main() -> None:
    """Measure the cases that are named, or all of them, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(CASES))
    names = parser.parse_args().names
    raw = HERE / "results" / "export.jsonl"
    kept = (
        [json.loads(line) for line in raw.read_text(encoding="utf-8").splitlines()] if raw.is_file() else []
    )
    rows = [row for row in kept if row["case"] not in names]
    for name in names:
        rows += measure(name, CASES[name])
    order = {name: place for place, name in enumerate(CASES)}
    rows.sort(key=lambda row: order[row["case"]])
    raw.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (HERE / "results" / "export.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    assert shutil.which("node"), "Node.js is needed"
    main()
