"""The header of a sheet: below titles, where it is asked for, and in two rows of which cells are merged."""

import datetime as dt

import pytest

from rung.core.errors import DataError
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading
from rung.pages.data_notes import data_notes

openpyxl = pytest.importorskip("openpyxl")


def workbook(path, rows, merge=()):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cells in merge:
        book.active.merge_cells(cells)
    book.save(path)
    return path


def read(path, header_row=None):
    source = open_source(path, Reading(header_row=header_row))
    return source.columns, [row.values for row in read_rows(source)], source.tables[0].notes


ROWS = [["a", 1.5, "x"], ["b", 2.5, "y"]]


def test_titles_above_the_header_are_skipped_and_said(tmp_path):
    path = workbook(
        tmp_path / "t.xlsx",
        [
            ["Report of May"],
            [],
            ["as of", dt.date(2024, 5, 1)],
            ["text", "n", "k", "l", "m"],
            ["a", 1, 2, 3, 4],
        ],
        ["A1:E1"],
    )
    columns, found, notes = read(path)
    assert columns == ("text", "n", "k", "l", "m") and found == [
        {"text": "a", "n": 1, "k": 2, "l": 3, "m": 4}
    ]
    assert notes["skipped_lines"] == 2
    assert data_notes({"dialects": {"t.xlsx": notes}}, "en") == [
        "t.xlsx: 2 lines above the header were skipped"
    ]


def test_a_plain_sheet_has_no_notes(tmp_path):
    columns, found, notes = read(workbook(tmp_path / "t.xlsx", [["text", "n", "k"], *ROWS]))
    assert columns == ("text", "n", "k") and len(found) == 2 and notes == {}
    columns, found, _ = read(workbook(tmp_path / "u.xlsx", [["text"], ["a"], ["b"]]))
    assert columns == ("text",) and len(found) == 2


def test_the_spec_says_which_row_is_the_header(tmp_path):
    path = workbook(tmp_path / "t.xlsx", [["old", "names", "here"], [], ["text", "n", "k"], *ROWS])
    assert read(path)[0] == ("old", "names", "here")
    columns, found, notes = read(path, 3)
    assert (
        columns == ("text", "n", "k")
        and [row["text"] for row in found] == ["a", "b"]
        and notes["skipped_lines"] == 1
    )
    for row in (2, 99):
        with pytest.raises(DataError, match=f"row {row} is empty or below the sheet"):
            read(path, row)


def test_a_header_of_two_rows_is_joined_and_said(tmp_path):
    rows = [
        ["Prices of May"],
        ["name", "price", None, "kind"],
        [None, "net", "gross", None],
        ["a", 1, 2, "x"],
        ["b", 3, 4, "y"],
    ]
    columns, found, notes = read(workbook(tmp_path / "t.xlsx", rows, ["A1:D1", "A2:A3", "B2:C2", "D2:D3"]))
    assert columns == ("name", "price net", "price gross", "kind")
    assert [tuple(row.values()) for row in found] == [("a", 1, 2, "x"), ("b", 3, 4, "y")]
    said = data_notes({"dialects": {"t.xlsx": notes}}, "en")
    assert said[1] == "t.xlsx: the names of the columns are joined from rows 2 and 3, where cells are merged"
    assert data_notes({"dialects": {"t.xlsx": notes}}, "zh")[1].startswith("t.xlsx：表头有合并的单元格")


def test_merged_cells_below_the_header_are_refused(tmp_path):
    path = workbook(tmp_path / "t.xlsx", [["Title"], ["text", "n", "k"], *ROWS], ["A1:C1", "B3:B4"])
    with pytest.raises(DataError, match="the cells B3:B4 of the sheet 'Sheet' are merged"):
        read(path)
