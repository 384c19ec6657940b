"""Export to C: write the file, compile it with all warnings as errors, and let the program answer the rows."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rung.core.errors import RungError
from rung.exporting.agreement import TargetAnswer, compare
from rung.exporting.c_fields import CField, fields_of, rows_text
from rung.exporting.c_source import c_source, require_supported
from rung.exporting.source import Rows, Source
from rung.exporting.target import Check, ExportRefused, Note, Target, identifier
from rung.modalities.tables.fitted import FittedTable
from rung.modalities.tables.label_parts import LabelParts
from rung.modalities.tables.model import TableModel

# No fused multiply-add: a sum must not depend on the processor.
_FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-DRUNG_MAIN")
_SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# Under the sanitizers a row takes far longer.
_SANITIZED_ROWS = 10_000


def write(source: Source, folder: Path) -> Sequence[Note]:
    """Write the C file."""
    fitted = _fitted(source)
    require_supported(fitted, source.folder.name)
    name = identifier(source.manifest.name)
    (folder / f"{name}.c").write_text(c_source(source.manifest, fitted), encoding="ascii")
    return [Note("c", {"name": name}), *([] if compiler() else [Note("no_compiler")])]


def check(source: Source, folder: Path, rows: Rows) -> Sequence[Check]:
    """Return how the compiled file answers, and again with every access to memory checked, where the compiler can."""
    command = compiler()
    if command is None:
        return []
    name = identifier(source.manifest.name)
    fields, labels = (
        fields_of(source.manifest.schema, _fitted(source).features),
        source.manifest.schema.labels,
    )
    found = []
    with TemporaryDirectory(prefix="rung-c-") as scratch:
        program = Path(scratch) / name
        _compile(command, (*_FLAGS, "-O2"), folder / f"{name}.c", program)
        answers, seconds = _answers(program, fields, rows, labels)
        agreement = compare(rows.expected, answers)
        found.append(Check("C99", _version(command), agreement, 1000 * seconds / len(rows)))
        fewer = Rows(rows.inputs[:_SANITIZED_ROWS], rows.expected[:_SANITIZED_ROWS], rows.origin)
        checked = Path(scratch) / f"{name}-checked"
        try:
            _compile(command, (*_FLAGS, *_SANITIZE), folder / f"{name}.c", checked)
        except ExportRefused:
            return found  # A compiler without the sanitizers; the file itself compiled.
        answers, _ = _answers(checked, fields, fewer, labels)
        found.append(
            Check("C99, AddressSanitizer + UBSan", _version(command), compare(fewer.expected, answers))
        )
    return found


TARGET = Target("c", write, check)


def compiler() -> str | None:
    """Return the C compiler of this machine: $CC, cc, gcc or clang; None where there is none."""
    wanted = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    return next((place for name in wanted if name and (place := shutil.which(name))), None)


def _fitted(source: Source) -> FittedTable:
    model = source.predictor.model
    if not isinstance(model, TableModel):
        raise ExportRefused(
            f"'{source.manifest.model}' is no model of a table: the C file holds linear models, trees and additive models of tables",
            source.folder.name,
            "Export to wheel or browser.",
        )
    if isinstance(model.fitted, LabelParts):
        raise ExportRefused(
            "the C file answers one label or one number a row, and this product answers several labels",
            source.folder.name,
            "Export to wheel.",
        )
    return model.fitted


def _compile(command: str, flags: Sequence[str], source: Path, program: Path) -> None:
    done = subprocess.run(
        [command, *flags, str(source), "-o", str(program), "-lm"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ExportRefused(
            f"the compiler refuses the file: {done.stderr[:1500]}",
            source.name,
            "This is a fault of rung: report it.",
        )


def _answers(
    program: Path, fields: Sequence[CField], rows: Rows, labels: Sequence[str]
) -> tuple[list[TargetAnswer], float]:
    """Return the program's answers and the seconds that they took, reading and printing included."""
    text = rows_text(fields, rows.inputs).encode("utf-8", "surrogatepass")
    begun = time.perf_counter()
    done = subprocess.run([str(program)], input=text, capture_output=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise RungError(
            f"the compiled file failed: {done.stderr.decode(errors='replace')[-1500:]}",
            program.name,
            "Report it.",
        )
    found = []
    for line in done.stdout.decode("ascii").splitlines():
        first, *chances = line.split("\t")
        found.append(
            TargetAnswer(labels[int(first)], [float(one) for one in chances])
            if labels
            else TargetAnswer(float(first))
        )
    return found, seconds


def _version(command: str) -> str:
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [Path(command).name])[0].strip()
