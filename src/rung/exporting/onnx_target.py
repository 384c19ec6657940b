"""Export to ONNX: the network files of a bundle as they are, with the files that its inputs are made by, and what they take and give.

The files are the bundle's own, byte for byte, so what is compared is another thing: ONNX Runtime alone, in a process without rung, is
fed what the server fed to its network for each row, and must give the same numbers.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rung.core.types import Prediction
from rung.exporting import wheel
from rung.exporting.agreement import TargetAnswer, compare
from rung.exporting.source import Rows, Source
from rung.exporting.target import Check, ExportRefused, Note, Target
from rung.runtime.onnx.operators import MOBILE_PACKAGE, Operators
from rung.runtime.onnx.session import listening, open_session

OPERATORS = "required_operators.config"
# Of one file; tokenizers and settings, no weights of other parts.
_BESIDE = {".json", ".txt"}
_MOST_ROWS = 2_000
_TOLERANCE = 1e-5


def write(source: Source, folder: Path) -> Sequence[Note]:
    """Write the ONNX files, what lies beside them, and a README of inputs and outputs."""
    model = source.folder / "model"
    found = sorted(model.rglob("*.onnx"))
    if not found:
        raise ExportRefused(
            f"'{source.manifest.model}' has no ONNX file: it is no network",
            source.folder.name,
            "Export to browser, c or wheel.",
        )
    for path in [
        *found,
        *(other for one in found for other in one.parent.iterdir() if other.suffix in _BESIDE),
    ]:
        target = folder / path.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    operators = Operators.of(*found)
    (folder / OPERATORS).write_text(operators.config(), encoding="utf-8")
    text = _readme(source, model, found) + _on_phones(operators)
    (folder / "README.md").write_text(text, encoding="utf-8")
    missing = operators.missing_in(MOBILE_PACKAGE)
    return [
        Note("onnx", {"files": ", ".join(path.relative_to(model).as_posix() for path in found)}),
        Note("mobile_lacks", {"operators": ", ".join(missing)}) if missing else Note("mobile"),
    ]


def check(source: Source, folder: Path, rows: Rows) -> Sequence[Check]:
    """Return how ONNX Runtime alone answers what the server's network was fed."""
    fed = _recorded(source, rows)
    if not fed:
        return []
    with TemporaryDirectory(prefix="rung-onnx-") as scratch:
        arrays: dict[str, Any] = {}
        calls = []
        for number, (path, outputs, feed, _) in enumerate(fed):
            arrays |= {f"{number}:{name}": value for name, value in feed.items()}
            calls.append(
                [
                    str(folder / path.relative_to((source.folder / "model").resolve())),
                    list(outputs),
                    list(feed),
                ]
            )
        np.savez(Path(scratch) / "feed.npz", **arrays)
        (Path(scratch) / "calls.json").write_text(json.dumps(calls), encoding="utf-8")
        script = wheel.TEMPLATES / "onnx_check.py.txt"
        command = [sys.executable, "-I", str(script), scratch, ",".join(wheel.BLOCKED)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=wheel.quiet())
        if done.returncode:
            raise ExportRefused(
                f"ONNX Runtime alone cannot run the files: {done.stderr[-1000:]}", folder.name, "Report it."
            )
        with np.load(Path(scratch) / "answers.npz", allow_pickle=False) as answers:
            pairs = [
                (one, two)
                for number, call in enumerate(fed)
                for place, first in enumerate(call[3])
                for one, two in zip(first, answers[f"{number}:{place}"], strict=True)
            ]
    equal = [bool(np.allclose(one, two, rtol=_TOLERANCE, atol=_TOLERANCE)) for one, two in pairs]
    expected = [Prediction("same") for _ in pairs]
    return [
        Check(
            "ONNX Runtime",
            done.stdout.strip(),
            compare(expected, [TargetAnswer("same" if ok else "other") for ok in equal]),
        )
    ]


TARGET = Target("onnx", write, check)
_Call = tuple[Path, Sequence[str], dict[str, Any], list[Any]]


def _recorded(source: Source, rows: Rows) -> list[_Call]:
    """Return (file, outputs, feed, answers) of each call of a network while the server answers rows."""
    found: list[_Call] = []

    def note(path: Path, outputs: Sequence[str], feed: dict[str, Any], answers: list[Any]) -> None:
        found.append((path.resolve(), outputs, feed, answers))

    with listening(note):
        for begin in range(0, min(len(rows), _MOST_ROWS), 256):
            source.predictor.predict([dict(row) for row in rows.inputs[begin : min(begin + 256, _MOST_ROWS)]])
    return found


def _readme(source: Source, model: Path, files: Sequence[Path]) -> str:
    manifest = source.manifest
    lines = [
        f"# {manifest.name} {manifest.version}: {manifest.rung}", "",
        f"Task {manifest.task}. Labels, in the order of the outputs: {', '.join(f'`{label}`' for label in manifest.schema.classes) or 'none'}.",
        "The files are the bundle's own. What makes their inputs (tokenizer, sizes, means) and what is done to their outputs (calibration) lies",
        "beside them as JSON.", "",
    ]  # fmt: skip
    for path in files:
        session = open_session(path, path.name)
        lines += [
            f"## {path.relative_to(model).as_posix()}",
            "",
            "| | name | type | shape |",
            "|---|---|---|---|",
        ]
        for kind, values in (("input", session.get_inputs()), ("output", session.get_outputs())):
            lines += [f"| {kind} | `{one.name}` | {one.type} | {one.shape} |" for one in values]
        lines.append("")
    return "\n".join(lines)


def _on_phones(operators: Operators) -> str:
    missing = operators.missing_in(MOBILE_PACKAGE)
    said = (
        f"lacks of these: {', '.join(f'`{name}`' for name in missing)}."
        if missing
        else "has all of these by name."
    )
    rows = [
        f"| `{domain}` | {operators.opsets.get(domain, 1)} | {', '.join(sorted(names))} |"
        for domain, names in operators.names.items()
    ]
    return "\n".join(
        [
            "## Operators; Android and iOS", "", "| domain | opset | operators |", "|---|---|---|", *rows, "",
            "The packages onnxruntime-android (Maven) and onnxruntime-c / onnxruntime-objc (CocoaPods) have all operators. A smaller build of your own is made with",
            f"`--minimal_build --include_ops_by_config {OPERATORS}`, and reads the file converted by `python -m onnxruntime.tools.convert_onnx_models_to_ort`, which may fuse operators",
            f"and then writes a list of its own: give that one. The reduced package onnxruntime-mobile, which ended with 1.18.0, {said} Nothing was run on a phone.", "",
        ]
    )  # fmt: skip
