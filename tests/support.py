"""What tests of several folders share: a small spec, a CSV writer, and `rung` in a process of its own."""

import csv
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def write_csv(path: Path, header, rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


SPEC = """name: desk
task: text_classification
data: {{path: {path}, input: text, target: label}}
bar: {{metric: accuracy, at_least: {bar}}}
budget: {{effort: 1, threads: 1}}
ladder: [majority, tfidf_linear]
"""


def write_spec(folder: Path, data: Path, bar: float = 0.7, extra: str = "") -> Path:
    path = folder / "product.yaml"
    path.write_text(SPEC.format(path=data, bar=bar) + extra, encoding="utf-8")
    return path


def run_cli(*args, cwd=None, input=None, env=None):
    """Run `rung` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "rung.cli", *map(str, args)], cwd=cwd, input=input, capture_output=True, text=True,
        encoding="utf-8", env={**os.environ, **(env or {})}, check=False, timeout=300,
    )  # fmt: skip
