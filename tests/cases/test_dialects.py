"""Files are read as their programs wrote them: delimiters, titles, comments, row names, sheets, names in Unicode."""

import csv
import io
import unicodedata

import pytest

import rung
from case_products import HERE, prepared
from rung.data.sources.read import open_source, read_rows


def read(tmp_path, text, name="d.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    source = open_source(tmp_path / name)
    return source.columns, list(read_rows(source)), source.tables[0].notes


ROWS = "".join(f"{i};word {i}, more;{'ab'[i % 2]}\n" for i in range(12))


def test_the_delimiter_is_the_one_of_all_lines():
    source = open_source(HERE / "semi.csv")
    assert source.columns == ("Text, short", "label")
    assert {row.values["label"] for row in read_rows(source)} == {"tech", "food", "sport"}


@pytest.mark.parametrize(
    "head,skipped",
    [
        ("", 0), ("sep=;\n", 1), ('"sep=;"\n', 1), ("Report of May 2024\n\n", 2), ("Report of May 2024;;\nmade by Ann;;\n", 2),
        ("# exported 2024-05-01\n# by ann, bob, eve\n", 2),
    ],
)  # fmt: skip
def test_lines_above_the_header_are_skipped_and_said(tmp_path, head, skipped):
    columns, rows, notes = read(tmp_path, head + "id;text;label\n" + ROWS)
    assert columns == ("id", "text", "label") and len(rows) == 12 and rows[0].values["text"] == "word 0, more"
    assert notes.get("skipped_lines", 0) == skipped


@pytest.mark.parametrize("head", ["text", "customer message"])
def test_texts_with_commas_below_a_header_of_one_column_are_not_columns(tmp_path, head):
    text = head + "\n" + "".join(f"hello {i}, all\n" if i % 3 else f"bye {i}\n" for i in range(9))
    columns, rows, notes = read(tmp_path, text)
    assert columns == (head,) and len(rows) == 9 and not notes


def test_a_header_that_begins_with_a_hash_is_a_header(tmp_path):
    columns, rows, notes = read(tmp_path, "#id;text;label\n" + ROWS)
    assert columns == ("#id", "text", "label") and len(rows) == 12 and not notes


def test_row_names_of_r_are_a_column(tmp_path):
    text = '"mpg","cyl"\n' + "".join(
        f'"{name}",{i},4\n' for i, name in enumerate(("Mazda RX4", "Datsun", "Valiant", "Duster"))
    )
    columns, rows, notes = read(tmp_path, text)
    assert columns == ("row_name", "mpg", "cyl") and rows[0].values == {
        "row_name": "Mazda RX4",
        "mpg": "0",
        "cyl": "4",
    }
    assert notes["row_names"] and not any(row.problem for row in rows)
    columns, rows, _ = read(tmp_path, "a,b\n" + "".join(f"{i},{i}.5,x\n" for i in range(1, 6)))
    assert columns == ("row_name", "a", "b") and rows[4].values == {"row_name": "5", "a": "5.5", "b": "x"}


def test_unquoted_commas_of_a_text_are_no_row_names(tmp_path):
    columns, rows, _ = read(tmp_path, "text,label\n" + "".join(f"well, {i},x\n" for i in range(6)))
    assert columns == ("text", "label") and all("malformed: 3 cells" in row.problem for row in rows)


def test_quotes_escaped_with_backslashes(tmp_path):
    text = "text,label\n" + "".join(f'"she said \\"no {i}\\", twice",{"ab"[i % 2]}\n' for i in range(6))
    _, rows, notes = read(tmp_path, text)
    assert rows[0].values == {"text": 'she said "no 0", twice', "label": "a"} and notes["escaped_quotes"]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize(
    "header,cells",
    [
        # Each line of the cell has as many delimiters as a row, and the outer lines hold true values of other columns.
        (("lang", "text", "label"), ("de", "Hallo {i}, du\nWelt, ja", "spam")),
        (("text", "label"), ("line one, {i}\nline two", "spam")),
        (("text", "price"), ("I paid 5, 7\nthen left {i}", "12")),
        (("text", "label"), ("\n".join(f"verse {{i}}, {j}" for j in range(7)) + "\nend", "spam")),
        (("id", "text", "label"), ("{i}", "\n".join(f"a, b {j}, c" for j in range(7)) + "\nend", "spam")),
    ],
)
def test_a_quoted_cell_of_several_lines_is_one_cell(tmp_path, quoting, header, cells):
    short = {"lang": "en", "text": "one {i}", "label": "ham", "price": "{i}", "id": "{i}"}
    wanted = []
    for i in range(60):
        row = cells if i % 3 == 0 else [short[name] for name in header]
        wanted.append([cell.replace("{i}", str(i)) for cell in row])
    out = io.StringIO()
    csv.writer(out, quoting=quoting).writerows([header, *wanted])
    _, rows, notes = read(tmp_path, out.getvalue())
    assert [list(row.values.values()) for row in rows] == wanted and not notes


def test_rows_between_two_stray_quotes_are_rows(tmp_path):
    text = "text,label\n" + "".join(f"word {i},{'ab'[i % 2]}\n" for i in range(30))
    text += '"quoted,a\n' + "".join(f"more {i},{'ab'[i % 2]}\n" for i in range(5)) + 'screen of 5",b\n'
    _, rows, notes = read(tmp_path, text)
    assert len(rows) == 37 and notes["stray_quotes"]["lines"] == [32]


def test_a_header_in_the_middle_is_no_row(tmp_path):
    _, rows, _ = read(tmp_path, "id;text;label\n" + ROWS + "id;text;label\n" + ROWS)
    assert [row.problem for row in rows if row.problem] == [
        "repeated_header: the header stands here once more"
    ]
    assert len(rows) == 25


def test_hidden_sheets_are_not_read(tmp_path):
    source = open_source(HERE / "hidden.xlsx")
    assert source.columns == ("text", "label") and sum(1 for _ in read_rows(source)) == 330
    notes = source.tables[0].notes
    assert notes["sheet"] == "Tickets" and len(notes["others"]) == 1


def test_a_name_is_one_in_both_forms_of_unicode(tmp_path):
    for form in ("NFC", "NFD"):
        data = prepared(
            tmp_path, "nfd.csv", task="text_classification", input=unicodedata.normalize(form, "référence"),
            target=unicodedata.normalize(form, "catégorie"),
        )  # fmt: skip
        assert data.facts["used"] == 330


def test_a_served_row_may_write_a_name_in_either_form(tmp_path):
    from rung.core.column_names import column_of

    assert column_of({unicodedata.normalize("NFD", "référence"): 1}, "référence") == unicodedata.normalize(
        "NFD", "référence"
    )
    assert column_of({"a": 1}, "b") is None


def test_one_cell_too_long_or_undecodable_costs_only_who_needs_it(tmp_path):
    rows = b"".join(b"word %d,%s,caf\xe9\n" % (i, b"ab"[i % 2 : i % 2 + 1]) for i in range(60))
    (tmp_path / "d.csv").write_bytes(
        b"text,label,note\n" + rows + "größer über,a,ok\n".encode() * 40 + b"last,b,\x81\x8d\n"
    )
    data = prepared(tmp_path, "d.csv", task="text_classification", input="text")
    assert "undecodable" not in data.facts["quarantined"]


def test_sheets_of_a_workbook_are_named_when_one_is_missing(tmp_path):
    with pytest.raises(rung.RungError, match="no sheet"):
        from rung.data.sources.rows import Reading

        open_source(HERE / "hidden.xlsx", Reading(sheet="Ticket"))
