"""Detect how a delimited text file is written: delimiter, lines above the header, row names, escaped quotes."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

DELIMITERS = ",;\t|"
_SEP = re.compile(r"sep=(.)\s*$", re.I)
_SAMPLE_LINES, _SAMPLE_CHARS = 300, 1_000_000
# Lines above a header: a title, a date, who exported it.
_MOST_TITLES = 20
# How much more of the lines another delimiter must explain than the one that most stands in the header.
_CLEARLY = 0.1
_MOSTLY = 0.8
# Lines of one record that are rows rather than a text: without columns that tell, and with them.
_MANY_LINES, _FEWEST_ASKED = 6, 3
# Rows that tell what a column holds.
_FEWEST_ROWS = 6
_NUMBER = re.compile(r"[-+]?[\d.,' ]*\d[\d.,' ]*%?")


@dataclass(frozen=True)
class Dialect:
    """skip: lines above the header. row_names: rows have one more cell than the header, in front. escape: of quotes.

    values: of columns whose values repeat: what tells a row from a line of a text. numeric: places of columns of numbers.
    """

    delimiter: str = ","
    skip: int = 0
    row_names: bool = False
    escape: str | None = None
    values: tuple[frozenset[str], ...] = field(default=(), repr=False)
    numeric: frozenset[int] = field(default=frozenset(), repr=False)

    def reader(self, lines: Iterator[str], strict: bool = True) -> Iterator[list[str]]:
        """Return a CSV reader of lines. strict: it raises csv.Error for text behind a closing quote."""
        return csv.reader(lines, delimiter=self.delimiter, escapechar=self.escape, strict=strict)

    def as_row(self, line: str) -> list[str]:
        """Return the cells of one line with its quotes taken as text."""
        return line.rstrip("\r\n").split(self.delimiter)

    def looks_like_rows(self, lines: Sequence[str], width: int) -> bool:
        """Return whether lines of one quoted record are rows: each has the cells of one, and values that repeat elsewhere.

        Cells before the quote that opens and behind the one that closes are cells of the record either way: they say nothing.
        """
        rows = [self.as_row(line) for line in lines]
        if width < 2 or any(len(row) != width for row in rows):
            return False
        opens = next((place for place, cell in enumerate(rows[0]) if cell.startswith('"')), 0)
        closes = max((place for place, cell in enumerate(rows[-1]) if cell.endswith('"')), default=width - 1)
        telling = {place for place, values in enumerate(self.values) if values} | self.numeric
        asked = []
        for number, row in enumerate(rows):
            first = opens if number == 0 else 0
            last = closes if number == len(rows) - 1 else width - 1
            places = [place for place in telling if first <= place <= last]
            if places:
                asked.append(any(self._tells(place, row[place]) for place in places))
        if not telling:
            return len(rows) >= _MANY_LINES
        return len(asked) >= _FEWEST_ASKED and sum(asked) >= _MOSTLY * len(asked)

    def _tells(self, place: int, cell: str) -> bool:
        cell = cell.strip('"')
        known = place < len(self.values) and cell in self.values[place]
        return known or (place in self.numeric and _is_number(cell))


def detect_dialect(lines: Iterator[str], is_tabbed: bool) -> Dialect:
    """Return how a file is written, from its first lines. is_tabbed: its name says that tabs stand between cells."""
    sample: list[str] = []
    chars = 0
    for line in islice(lines, _SAMPLE_LINES):
        sample.append(line)
        chars += len(line)
        if chars > _SAMPLE_CHARS:
            break
    skip = next((place for place, line in enumerate(sample) if line.strip()), 0)
    named = _SEP.match(sample[skip].strip('"\r\n ')) if sample else None
    if named:
        skip += 1
    body = sample[skip:]
    delimiter = named[1] if named else "\t" if is_tabbed else _delimiter(body)
    escape = _escape(body, delimiter)
    plain = Dialect(delimiter, escape=escape)
    records = _records(plain, body)
    width = _common_width(records)
    titles, begins = _titles(records, width)
    names = _has_row_names(records[titles:], body, width)
    rows = [cells for _, cells in records[titles + 1 :] if not any("\n" in cell for cell in cells)]
    if len(rows) < _FEWEST_ROWS:
        # A quote that belongs to the text took the other rows.
        rows = [plain.as_row(line) for line in body[begins + 1 :] if '"' not in line]
    fitting = [row for row in rows if len(row) == width]
    return Dialect(
        delimiter,
        skip + begins if titles or named else 0,
        names,
        escape,
        _repeated(fitting),
        _numeric(fitting),
    )


def _records(dialect: Dialect, lines: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Return (number of its first line, cells) of each record that is not blank."""
    reader = csv.reader(iter(lines), delimiter=dialect.delimiter, escapechar=dialect.escape)
    found, begins = [], 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((begins, cells))
            begins = reader.line_num
    except csv.Error:
        pass
    # The last may be cut off.
    return found[:-1] if len(lines) >= _SAMPLE_LINES and len(found) > 1 else found


def _common_width(records: Sequence[tuple[int, list[str]]]) -> int:
    widths = Counter(len(cells) for _, cells in records)
    return max(widths, key=lambda width: (widths[width], width)) if widths else 0


def _delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that stands most in the header, unless another makes clearly more lines alike."""
    head = next((line for line in lines if line.strip()), "")[:_SAMPLE_CHARS]
    bare = re.sub(r'"[^"]*"', "", head)
    counts = {char: bare.count(char) for char in DELIMITERS}
    usual = max(counts, key=lambda char: counts[char])
    alike = {}
    for char in DELIMITERS:
        records = _records(Dialect(char), lines)
        width = _common_width(records)
        same = sum(len(cells) == width for _, cells in records)
        alike[char] = same / len(records) if width > 1 and len(records) > 1 else 0.0
    best = max(alike, key=lambda char: (alike[char], counts[char]))
    if not counts[usual]:
        # A title above the header, or a header of one column whose texts hold commas.
        return best if _is_title([head.strip()]) and alike[best] >= _MOSTLY else usual
    return best if alike[best] > alike[usual] + _CLEARLY else usual


def _is_title(cells: Sequence[str]) -> bool:
    """Return whether a line above a header is a title or a comment: words in its first cell alone, not one word."""
    first = cells[0].strip()
    return first.startswith("#") or (" " in first and not any(cell.strip() for cell in cells[1:]))


def _escape(lines: Sequence[str], delimiter: str) -> str | None:
    """Return the backslash where quotes inside of quotes are escaped with it."""
    if not any('\\"' in line for line in lines):
        return None

    def fails(escape: str | None) -> int:
        count, reader = 0, csv.reader(iter(lines), delimiter=delimiter, escapechar=escape, strict=True)
        while True:
            try:
                next(reader)
            except StopIteration:
                return count
            except csv.Error:
                count += 1
                if count > 50:
                    return count

    return "\\" if fails("\\") < fails(None) else None


def _titles(records: Sequence[tuple[int, list[str]]], width: int) -> tuple[int, int]:
    """Return how many records stand above the header, and the line in which the header begins."""
    if width < 2 or len(records) < 3:
        return 0, 0
    for place, (begins, cells) in enumerate(records[: _MOST_TITLES + 1]):
        if len(cells) == width and not _is_title(cells):
            return (place, begins) if all(len(r) == width for _, r in records[place : place + 3]) else (0, 0)
        if len(cells) == width and place == 0 and cells[0].lstrip().startswith("#"):
            return 0, 0
        if not _is_title(cells):
            return 0, 0
    return 0, 0


def _has_row_names(records: Sequence[tuple[int, list[str]]], lines: Sequence[str], width: int) -> bool:
    """Return whether rows begin with a name that the header, one cell shorter, does not speak of: as R writes tables."""
    if len(records) < 3 or len(records[0][1]) != width - 1:
        return False
    rows = [cells for _, cells in records[1:] if len(cells) == width]
    if len(rows) < len(records) - 1 or not any(row[-1].strip() for row in rows):
        return False
    numbered = all(row[0].strip() == str(place) for place, row in enumerate(rows, 1))
    quoted = all(lines[begins].startswith('"') for begins, _ in records)
    return numbered or (quoted and len({row[0] for row in rows}) == len(rows))


def _repeated(rows: Sequence[list[str]]) -> tuple[frozenset[str], ...]:
    """Return, a column, its values where they repeat; an empty set elsewhere. rows: of equal width."""
    found = []
    for column in zip(*rows, strict=True):
        values = frozenset(cell for cell in column if cell.strip())
        repeats = len(column) >= _FEWEST_ROWS and len(values) <= 0.5 * len(column)
        found.append(values if repeats else frozenset())
    return tuple(found)


def _numeric(rows: Sequence[list[str]]) -> frozenset[int]:
    """Return the places of columns that hold numbers. rows: of equal width."""
    return frozenset(
        place
        for place, column in enumerate(zip(*rows, strict=True))
        if len(column) >= _FEWEST_ROWS and sum(map(_is_number, column)) >= _MOSTLY * len(column)
    )


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell.strip()) is not None
