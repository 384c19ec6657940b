"""Corrected labels: a CSV beside product.yaml, matched by text hash, applied to training rows only."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rung.core.csv_cells import delimiter_of, escape_formula, hash_cell, hash_of_cell, unescape_formula
from rung.core.errors import DataError
from rung.core.files import write_text
from rung.core.spec.product import Product
from rung.core.task import Task

# The columns of the overlay. `hash` is that of the row's folded text: the row is known when the file is sorted anew.
COLUMNS = ("file", "row", "hash", "label", "correct")


@dataclass(frozen=True)
class Correction:
    """A row, the label it had when it was looked at, and the right one. file, row: where it stood, for people."""

    file: str
    row: str
    hash: str
    label: str
    correct: str


class Corrections:
    """The overlay while data is read. used: hashes of rows that had the label they were corrected from."""

    def __init__(self, given: Sequence[Correction]) -> None:
        self._by_hash: Mapping[int, Correction] = {int(item.hash, 16): item for item in given}
        self.used: set[int] = set()

    def __len__(self) -> int:
        return len(self._by_hash)

    def of(self, text_hash: int, label: str) -> str:
        """Return the label a training row learns: the corrected one, if it still has the label that was wrong."""
        found = self._by_hash.get(text_hash)
        if found is None or found.label != label:
            return label
        self.used.add(text_hash)
        return found.correct


def read_corrections(path: Path) -> list[Correction]:
    """Return what the overlay holds; raises DataError when it is missing or of another shape."""
    found = []
    for number, row in enumerate(_rows(path), 1):
        if not row["correct"]:
            continue
        try:
            int(row["hash"], 16)
        except ValueError:
            problem = f"row {number}: '{row['hash']}' is not the hash of a text"
            raise DataError(problem, path.name, "Use the file as `rung data check --out` wrote it.") from None
        found.append(Correction(*(row[name] for name in COLUMNS)))
    return found


def open_corrections(product: Product, base: Path) -> Corrections:
    """Return the overlay that a product names, empty where it names none."""
    named = product.data.corrections
    return Corrections(read_corrections(base / named) if named else [])


def read_answers(path: Path, task: Task, accept: bool) -> list[Correction]:
    """Return what people wrote into `correct`; with accept, the suggestion where they wrote nothing.

    An answer that is the old label takes an earlier correction back.
    """
    found = []
    rows = _rows(path)
    # A label such as NA is one, since rows have it.
    field = task.schema(("text",), []).outputs[0]
    field = replace(field, values=tuple(sorted({row["label"] for row in rows} - {""})))
    for row in rows:
        answer = row["correct"] or (row.get("suggested", "") if accept else "")
        target = task.read_target(answer, field)
        if target is not None:
            found.append(Correction(row["file"], row["row"], row["hash"], row["label"], str(target)))
    if not found:
        raise DataError(
            "no row has an entry in the column 'correct'",
            path.name,
            "Write the right label there, or take all suggestions with --accept.",
        )
    return found


def merge(path: Path, given: Sequence[Correction]) -> tuple[list[Correction], int]:
    """Return the overlay with these laid over what it held, and how many are new or changed."""
    known = {item.hash: item for item in read_corrections(path)} if path.is_file() else {}
    before = dict(known)
    for item in given:
        earlier = known.get(item.hash)
        # What was looked at after a correction shows the corrected label: the source still has the one before it.
        source = earlier.label if earlier and earlier.correct == item.label else item.label
        if item.correct == source:
            known.pop(item.hash, None)
        else:
            known[item.hash] = replace(item, label=source)
    new = sum(before.get(key) != item for key, item in known.items())
    return list(known.values()), new


def write_corrections(path: Path, rows: Sequence[Correction]) -> None:
    """Write the overlay, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    cells = ([item.file, item.row, hash_cell(item.hash), item.label, item.correct] for item in rows)
    writer.writerows([escape_formula(cell) for cell in line] for line in cells)
    write_text(path, text.getvalue())


def _rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a corrections or labels file as they were written or as a spreadsheet saved them."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        # What spreadsheets on a Chinese system save.
        text = path.read_bytes().decode("gb18030", "replace")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        fix = "Check `data.corrections`; `rung data correct` writes the file."
        raise DataError(f"it cannot be read: {reason}", path.name, fix) from None
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter_of(text)))
    names = set(rows[0]) if rows else set(COLUMNS)
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        fix = "Keep the columns as `rung data check --labels --out` wrote them; fill in `correct`."
        raise DataError(f"there is no column '{missing[0]}'", path.name, fix)
    found = [{n: unescape_formula(str(cell or "").strip()) for n, cell in row.items() if n} for row in rows]
    return [row | {"hash": hash_of_cell(row.get("hash", ""))} for row in found]
