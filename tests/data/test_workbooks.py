"""Workbooks of every format give the same rows; what their parser does not tell is found in their parts."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path

import openpyxl
import pytest

from rung.core.errors import DataError
from rung.data.readers import workbook
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading
from rung.pages.data_notes import data_notes

# Written by LibreOffice (.xls, .ods) and SheetJS (.xlsb): a title, a header of two rows with merged cells, a hidden sheet.
SAVED = Path(__file__).parent / "workbooks"


def read(path, **how):
    source = open_source(path, Reading(**how))
    return source.columns, list(read_rows(source)), source.tables[0].notes


def saved(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("suffix", ["xls", "xlsb", "ods"])
def test_other_formats(suffix):
    columns, rows, notes = read(SAVED / f"merged.{suffix}")
    assert columns == ("text", "price net", "price gross", "at", "ok")
    # OpenDocument as LibreOffice converts it has numbers for booleans.
    yes, no = (1, 0) if suffix == "ods" else (True, False)
    assert [tuple(row.values.values()) for row in rows] == [
        ("one", 1, 2, "2024-01-02T00:00:00", yes),
        ("größer", 2.5, 1e20, "2024-01-02T03:04:05", no),
        ("三", None, 7, None, None),
    ]
    assert data_notes({"dialects": {"f": notes}}, "en") == [
        "f: 1 line above the header was skipped",
        "f: the names of the columns are joined from rows 2 and 3, where cells are merged",
        "f: the sheet Tickets was read; there are also Old (hidden)",
    ]
    assert read(SAVED / f"merged.{suffix}", sheet="Old")[1][0].values == {"a": "x"}
    assert read(SAVED / f"merged.{suffix}", sheet=1, header_row=2)[0][0] == "text"


def test_a_wrong_ending_does_not_matter(tmp_path):
    (tmp_path / "a.xlsx").write_bytes((SAVED / "merged.xls").read_bytes())
    assert len(read(tmp_path / "a.xlsx")[1]) == 3


def test_short_records_are_refused_as_the_parser_passes_them_over():
    with pytest.raises(DataError, match="short records"):
        read(SAVED / "short.xlsb")


def test_cells_keep_their_values(tmp_path):
    cells = [
        (2**53, 2**53), (0.1 + 0.2, 0.3), (1e-7, 1e-7), (-0.0, 0), ("00123", "00123"), (" x\ny ", " x\ny "), (True, True),
        (dt.date(2024, 1, 2), "2024-01-02T00:00:00"), (dt.time(3, 4, 5), "03:04:05"), (dt.timedelta(hours=30), "1 day, 6:00:00"),
        (dt.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"), ("#N/A", None),
    ]  # fmt: skip
    path = saved(tmp_path / "a.xlsx", [["n", "v"], *([str(i), value] for i, (value, _) in enumerate(cells))])
    found = [row.values["v"] for row in read(path)[1]]
    assert found == [expected for _, expected in cells]
    assert [type(value) for value in found] == [type(expected) for _, expected in cells]


def test_formulas_and_errors(tmp_path):
    """Computed ones are values, errors are empty and counted, what nobody computed is named, in rows of its own as well."""
    path = saved(tmp_path / "a.xlsx", [["a", "b"], ["one", 1], ["two", 2]])
    rows = (
        '<row r="4"><c r="A4" t="str"><f>"x"</f><v></v></c><c r="B4" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
        '<row r="5"><c r="A5"><f>A1</f><v></v></c></row><row r="6"><c r="A6"><v>7</v></c><c r="B6"><f>A6</f></c></row>'
        '<row r="7"><c r="A7" t="inlineStr"><is><t>in</t></is></c><c r="B7"><f>A6</f><v>7</v></c></row>'
    )
    whole = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(whole, "w") as sink:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("sheet1.xml"):
                content = content.replace(b"</sheetData>", rows.encode() + b"</sheetData>")
            sink.writestr(name, content)
    _, found, notes = read(whole)
    assert [row.problem for row in found] == [
        "", "", "formula_without_value: A5 was never computed", "formula_without_value: B6 was never computed", "",
    ]  # fmt: skip
    assert found[-1].values == {"a": "in", "b": 7}
    assert data_notes({"dialects": {"f": notes}}, "en") == [
        "f: 1 cell holds an error such as #N/A, and counts as empty"
    ]


def test_cells_far_apart_end_no_more_than_the_reading(tmp_path):
    book = openpyxl.Workbook()
    book.active["A1"], book.active["XFD1048576"] = "a", 2
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="takes more than 4 GiB of memory"):
        read(tmp_path / "a.xlsx")


def test_text_under_the_name_of_a_workbook(tmp_path):
    (tmp_path / "a.xls").write_text("<html><table><tr><td>a</td></tr></table></html>")
    (tmp_path / "b.xls").write_text("text,label\na,b\n")
    with pytest.raises(DataError, match="this is HTML, no workbook"):
        read(tmp_path / "a.xls")
    with pytest.raises(DataError, match="rename it to .csv"):
        read(tmp_path / "b.xls")


def test_rows_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "_PIECE", 16)
    path = saved(tmp_path / "a.xlsx", [["text"], *([f"row {i} größer 三"] for i in range(50))])
    assert [row.values["text"] for row in read(path)[1]] == [f"row {i} größer 三" for i in range(50)]
