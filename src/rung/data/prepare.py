"""From the user's files to two tables on disk: rows that train and rows that certify.

The source is read once, row by row; only hashes stay in memory. A second pass over the staged table writes
the rows that are kept to their side. What is left out is listed in quarantine.jsonl by file, row number,
hash and reason, never by its text.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from rung.core.errors import DataError
from rung.core.files import sha256
from rung.core.lock import CertificateLock
from rung.core.product import Product
from rung.core.task import Task
from rung.core.types import Dataset, Schema
from rung.data.read import Row, Source, open_source, read_rows
from rung.data.split import TRAIN, Keys, Sides, decide, parse_time
from rung.data.tables import TableWriter, to_cell

# A prefix keeps the user's columns apart from ours, whatever theirs are called.
_COLUMNS = ["file", "row", "target"]


def _input_columns(schema: Schema) -> list[str]:
    return [f"input:{name}" for name in schema.input_names]


@dataclass
class _Staged:
    """What is remembered of the rows that passed the first look, in the order of the staged table."""

    text: array[int] = field(default_factory=lambda: array("Q"))
    unit: array[int] = field(default_factory=lambda: array("Q"))
    target: array[int] = field(default_factory=lambda: array("q"))
    when: array[float] = field(default_factory=lambda: array("d"))
    own: array[int] = field(default_factory=lambda: array("b"))
    targets: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    chars: int = 0

    def keys(self) -> Keys:
        def view(values: array[Any], kind: str) -> Any:
            return np.frombuffer(values, dtype=kind) if len(values) else np.zeros(0, kind)

        own = view(self.own, "i1").astype(bool)
        return Keys(
            view(self.text, "u8"), view(self.unit, "u8"), view(self.target, "i8"), view(self.when, "f8"), own
        )


def hash64(text: str) -> int:
    """Return a keyed 64-bit hash; the key is fixed, so a row falls on the same side in every build."""
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=b"rung-split-1").digest(),
        "big",
    )


def fingerprint_data(product: Product, base: Path) -> str:
    """Return a hash of every source file; a run folder belongs to one state of the data."""
    digest = hashlib.sha256()
    for name in filter(None, (product.data.path, product.certify.path)):
        path = base / name
        open_source(path, product.data.encoding)
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(path).as_posix()}\n{sha256(file)}\n".encode())
    return digest.hexdigest()


def prepare(product: Product, base: Path, task: Task, lock: CertificateLock, folder: Path) -> Dataset:
    """Read, check, deduplicate and split the product's data into tables below `folder`.

    Raises DataError when a column is missing or the training rows cannot make a model.
    """
    sources = [(open_source(base / product.data.path, product.data.encoding), False)]
    if product.certify.path:
        sources.append((open_source(base / product.certify.path, product.data.encoding), True))
    for source, _ in sources:
        _require_columns(source, product)
    staged = _Staged()
    reasons: Counter[str] = Counter()
    schema = task.schema(product.data.input, [])
    with (folder / "quarantine.jsonl").open("w", encoding="utf-8") as out:
        with TableWriter(folder / "staged.parquet", _COLUMNS + _input_columns(schema)) as writer:
            for source, own in sources:
                for row in read_rows(source):
                    _stage(row, own, product, task, schema, staged, writer, out, reasons)
        where = sources[0][0].path.name
        if not len(staged.text):
            raise DataError(_nothing_left(staged.rows, reasons), where, _hint(reasons, product))
        sides = decide(staged.keys(), product, base, lock)
        counts = _write_sides(folder, schema, sides, staged, out, reasons)
    (folder / "staged.parquet").unlink()
    names = {index: name for name, index in staged.targets.items()}
    training = {names[index]: n for index, n in sorted(counts["targets"].items())}
    task.check(training, where)
    final = task.schema(product.data.input, list(training))
    certification = counts["certification"]
    facts = {
        "rows": staged.rows,
        "used": counts["train"] + certification,
        "train": counts["train"],
        "certification": certification,
        "quarantined": dict(sorted(reasons.items())),
        "labels": training if final.labels else {},
        "chars_per_row": round(staged.chars / max(len(staged.text), 1), 1),
        "encoding": {source.path.name: source.encoding.name for source, _ in sources},
        "split": sides.rule,
        "schema": final.as_dict(),
        "tables": {"train": "train.parquet"}
        | ({"certification": "certification.parquet"} if certification else {}),
    }
    return dataset_from(folder, facts)


def dataset_from(folder: Path, facts: dict[str, Any]) -> Dataset:
    """Return the handle of a prepared folder."""
    return Dataset(folder, Schema.from_dict(facts["schema"]), facts["tables"], facts)


def _require_columns(source: Source, product: Product) -> None:
    data = product.data
    for column in data.input:
        source.require(column, "data.input")
    source.require(data.target, "data.target")
    for key in ("group", "time"):
        column = getattr(data, key)
        if column:
            source.require(column, f"data.{key}")


def _stage(
    row: Row,
    own: bool,
    product: Product,
    task: Task,
    schema: Schema,
    staged: _Staged,
    writer: TableWriter,
    out: TextIO,
    reasons: Counter[str],
) -> None:
    """Put one row into the staged table, or into quarantine."""
    staged.rows += 1
    problem, values = row.problem, row.values or {}
    inputs = {name: values.get(name) for name in product.data.input}
    target = None
    if not problem:
        refused = task.refuse_input(inputs)
        target = task.parse_target(values.get(product.data.target))
        if refused:
            problem = f"empty_input: {refused}"
        elif target is None:
            problem = "missing_target: no label"
    when = 0.0
    if not problem and product.data.time and not own:
        found = parse_time(values.get(product.data.time))
        problem = "" if found is not None else "bad_time: not a date or number"
        when = found or 0.0
    if problem:
        _quarantine(out, reasons, row.file, row.number, problem, 0)
        return
    text = task.fold(inputs)
    group = values.get(product.data.group) if product.data.group else None
    staged.text.append(hash64(text))
    # A row without a group is a group of its own: its text.
    staged.unit.append(hash64(f"group:{group}") if group not in (None, "") else staged.text[-1])
    cell = to_cell(schema.outputs[0].kind, target)
    staged.target.append(staged.targets.setdefault(cell, len(staged.targets)))
    staged.when.append(when)
    staged.own.append(own)
    staged.chars += len(text)
    cells = {
        f"input:{f.name}": to_cell(f.kind, inputs[f.name] if inputs[f.name] is not None else "")
        for f in schema.inputs
    }
    writer.add({"file": row.file, "row": row.number, "target": cell, **cells})


def _quarantine(out: TextIO, reasons: Counter[str], file: str, number: int, problem: str, text: int) -> None:
    reason, _, detail = problem.partition(": ")
    reasons[reason] += 1
    line = {
        "file": file,
        "row": number,
        "reason": reason,
        "detail": detail,
        "hash": f"{text:016x}" if text else None,
    }
    out.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_sides(
    folder: Path, schema: Schema, sides: Sides, staged: _Staged, out: TextIO, reasons: Counter[str]
) -> dict[str, Any]:
    """Write the two tables from the staged one, in the order of the source."""
    columns = ["row", "unit", "time", "target", *_input_columns(schema)]
    counts: dict[str, Any] = {"train": 0, "certification": 0, "targets": Counter()}
    with (
        TableWriter(folder / "train.parquet", columns) as train,
        TableWriter(folder / "certification.parquet", columns) as certification,
    ):
        for index, cells in enumerate(_staged_rows(folder / "staged.parquet")):
            side = sides.side[index]
            if side < 0:
                _quarantine(
                    out, reasons, cells["file"], cells["row"], sides.reason(index), staged.text[index]
                )
                continue
            row = {"row": cells["row"], "unit": f"{staged.unit[index]:016x}", "target": cells["target"]}
            row["time"] = staged.when[index]
            row |= {name: cells[name] for name in _input_columns(schema)}
            if side == TRAIN:
                train.add(row)
                counts["train"] += 1
                counts["targets"][staged.target[index]] += 1
            else:
                certification.add(row)
                counts["certification"] += 1
    return counts


def _staged_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=4096):
            yield from batch.to_pylist()


def _nothing_left(rows: int, reasons: Counter[str]) -> str:
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f"none of the {rows} rows can be used ({listed})"


def _hint(reasons: Counter[str], product: Product) -> str:
    most = reasons.most_common(1)[0][0] if reasons else ""
    hints = {
        "empty_input": f"Check `data.input`: is {', '.join(product.data.input)} the column that holds the text?",
        "missing_target": f"Check `data.target`: is '{product.data.target}' the column that holds the answer?",
        "bad_time": f"Check `data.time`: is '{product.data.time}' a column of dates?",
    }
    return hints.get(most, "Open the file in an editor: is it the table you meant?")
