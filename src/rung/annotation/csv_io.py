"""Export rows to label as CSV, and import labels from CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.annotation.author import normalize_author
from rung.annotation.session import LabellingSession, LabelQuery
from rung.core.csv_cells import (
    delimiter_of,
    escape_formula,
    hash_cell,
    hash_of_cell,
    is_number_like,
    unescape_formula,
)
from rung.core.errors import DataError, InputError
from rung.core.files import write_text
from rung.data.labels.consensus import CANNOT
from rung.data.labels.store import LABEL, UNCLEAR, Entry

COLUMNS = ("file", "row", "hash", "label")
# Written where no label fits.
NO_LABEL = "?"
_MAX_BYTES = 1 << 28
_MAX_PROBLEMS_SHOWN = 10


@dataclass(frozen=True)
class ImportResult:
    """Counts of an import. labelled: new or changed labels. unclear: rows that no label fits. unchanged: same
    label as before. blank: rows without a label.
    """

    labelled: int
    unclear: int
    unchanged: int
    blank: int

    def as_dict(self) -> dict[str, int]:
        """Return the counts as JSON."""
        return {
            "labelled": self.labelled,
            "cannot": self.unclear,
            "same": self.unchanged,
            "blank": self.blank,
        }


def export_rows(queries: Sequence[LabelQuery], path: Path) -> None:
    """Write rows to label: file, row, hash, an empty label, then the row's own columns.

    Suggestions are left out.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(queries[0].row.cells) if queries else []
    writer.writerow(
        [*COLUMNS, *(f"text:{name}" if name in COLUMNS else escape_formula(name) for name in names)]
    )
    for item in queries:
        cells = [escape_formula(item.row.cells[name]) for name in names]
        writer.writerow([escape_formula(item.row.file), item.row.row, hash_cell(item.row.text), "", *cells])
    # With a byte order mark, so that spreadsheets read Chinese as UTF-8.
    write_text(path, "\ufeff" + text.getvalue())


def import_labels(session: LabellingSession, path: Path, author: str) -> ImportResult:
    """Write the labels of a file into the store, all or none. Rows are identified by their hash.

    The label `?` means that no label fits; rows with an empty label are ignored. Raises DataError that names
    every line with an unknown label or row.
    """
    author = normalize_author(author)
    known, current = session.pool.by_text(), session.answers_by(author)
    places = {(item.file, str(item.row)): item.text for item in session.pool.rows}
    problems: list[str] = []
    entries: list[Entry] = []
    blank = unchanged = 0
    for line, row in _read_rows(path):
        text = hash_of_cell(row.get("hash") or "")
        label = unescape_formula((row.get("label") or "").strip())
        if text not in known and is_number_like(text):
            # A spreadsheet made a number of the hash: the row still says where it stands.
            place = unescape_formula(row.get("file") or ""), (row.get("row") or "").strip()
            text = places.get(place, text)
        if not label:
            blank += 1
        elif text not in known:
            problems.append(f"line {line}: the row with the hash '{text[:20]}' is not in the data")
        elif label != NO_LABEL and (problem := _label_problem(session, label)):
            problems.append(f"line {line}: {problem}")
        elif current.get(text) == (CANNOT if label == NO_LABEL else session.parse_label(label)):
            unchanged += 1
        else:
            kind, value = (UNCLEAR, None) if label == NO_LABEL else (LABEL, session.parse_label(label))
            entries.append(session.new_entry(author, text, kind, value))
            current[text] = value or CANNOT
    if problems:
        more = (
            f"\n  and {len(problems) - _MAX_PROBLEMS_SHOWN} more"
            if len(problems) > _MAX_PROBLEMS_SHOWN
            else ""
        )
        listed = "\n  ".join(problems[:_MAX_PROBLEMS_SHOWN])
        raise DataError(
            f"nothing was imported:\n  {listed}{more}", path.name, "Fix these lines and import again."
        )
    session.add_entries(entries)
    unclear = sum(entry.kind == UNCLEAR for entry in entries)
    return ImportResult(len(entries) - unclear, unclear, unchanged, blank)


def _label_problem(session: LabellingSession, label: str) -> str:
    """Return the problem of a label, "" if there is none."""
    try:
        session.parse_label(label)
    except InputError as error:
        return f"{error.problem}. {error.fix}" if error.fix else f"{error.problem}."
    return ""


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(
                f"a file of labels has at most {_MAX_BYTES >> 20} MB",
                path.name,
                "Check that this is the right file.",
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = delimiter_of(file.readline(1 << 16))
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter)
            missing = [name for name in ("hash", "label") if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"there is no column '{missing[0]}'",
                    path.name,
                    "Fill in a file that `rung label --export` wrote.",
                )
            return [(reader.line_num, row) for row in reader]
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"it cannot be read: {reason}", str(path), "Check the path.") from None
    except UnicodeDecodeError:
        raise DataError("it is not UTF-8 text", path.name, "Save it as CSV UTF-8.") from None
    except csv.Error as error:
        raise DataError(f"it is not CSV: {error}", path.name, "Save it as CSV with commas.") from None
