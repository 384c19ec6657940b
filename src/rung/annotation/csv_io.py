"""Labels by spreadsheet: rows out as CSV, labels in."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.annotation.session import LabellingSession, LabelQuery, normalize_author
from rung.core.errors import DataError, InputError
from rung.core.files import write_text
from rung.data.labels.consensus import CANNOT
from rung.data.labels.store import LABEL, UNCLEAR, Entry

COLUMNS = ("file", "row", "hash", "label")
# What people write where no label fits.
NO_LABEL = "?"
_MAX_BYTES = 1 << 28
_MAX_PROBLEMS_SHOWN = 10
# A spreadsheet would take such a cell for a formula.
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class ImportResult:
    """What a file of labels brought. labelled: new or changed labels; cannot: rows that no label fits; same: said before;
    blank: rows without a label yet."""

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


def export_rows(asked: Sequence[LabelQuery], path: Path) -> None:
    """Write rows to be labelled: file, row, hash, an empty label, then the row's own columns. No guess stands beside them."""
    held = io.StringIO()
    writer = csv.writer(held)
    names = list(asked[0].row.cells) if asked else []
    writer.writerow([*COLUMNS, *(f"text:{name}" if name in COLUMNS else name for name in names)])
    for item in asked:
        cells = [_escape_formula(item.row.cells[name]) for name in names]
        writer.writerow([_escape_formula(item.row.file), item.row.row, item.row.text, "", *cells])
    # With a mark, so that a spreadsheet reads Chinese.
    write_text(path, "\ufeff" + held.getvalue())


def import_labels(desk: LabellingSession, path: Path, author: str) -> ImportResult:
    """Write the labels of a file into the store, all of them or none; rows are known by their hash.

    A label of `?` says that none fits; an empty one is left for later. Raises DataError naming every line that has an
    unknown label or row.
    """
    author = normalize_author(author)
    known, said = desk.pool.by_text(), desk.answers_by(author)
    problems: list[str] = []
    entries: list[Entry] = []
    blank = same = 0
    for line, row in _read_rows(path):
        text, label = (row.get("hash") or "").strip().lower(), (row.get("label") or "").strip()
        if not label:
            blank += 1
        elif text not in known:
            problems.append(f"line {line}: the row with the hash '{text[:20]}' is not in the data")
        elif label != NO_LABEL and (wrong := _label_problem(desk, label)):
            problems.append(f"line {line}: {wrong}")
        elif said.get(text) == (CANNOT if label == NO_LABEL else desk.parse_label(label)):
            same += 1
        else:
            kind, value = (UNCLEAR, None) if label == NO_LABEL else (LABEL, desk.parse_label(label))
            entries.append(desk.new_entry(author, text, kind, value))
            said[text] = value or CANNOT
    if problems:
        more = (
            f"\n  and {len(problems) - _MAX_PROBLEMS_SHOWN} more"
            if len(problems) > _MAX_PROBLEMS_SHOWN
            else ""
        )
        listed = "\n  ".join(problems[:_MAX_PROBLEMS_SHOWN])
        raise DataError(
            f"nothing was imported:\n  {listed}{more}", path.name, "Mend these lines and import again."
        )
    desk.add_entries(entries)
    cannot = sum(entry.kind == UNCLEAR for entry in entries)
    return ImportResult(len(entries) - cannot, cannot, same, blank)


def _label_problem(desk: LabellingSession, label: str) -> str:
    """Return what is wrong with a label, "" when nothing is."""
    try:
        desk.parse_label(label)
    except InputError as error:
        return f"{error.problem}. {error.fix}" if error.fix else f"{error.problem}."
    return ""


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(
                f"more than {_MAX_BYTES >> 20} MB are no file of labels", path.name, "Is this the file?"
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
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


def _escape_formula(value: object) -> str:
    text = "" if value is None else str(value)
    return "'" + text if text.startswith(_FORMULA_PREFIXES) else text
