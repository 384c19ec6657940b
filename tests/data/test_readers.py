"""Parquet, Excel and SQL give the rows they hold, typed cells as text knows them; what cannot be read is named."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rung.core.errors import DataError
from rung.core.types import Row
from rung.data.readers import readers
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading

DAY = dt.datetime(2024, 3, 1, 12, 30)


def rows_of(path: Path | str, base: Path | None = None, **reading: object) -> list[Row]:
    return list(read_rows(open_source(path, Reading(**reading), base)))  # type: ignore[arg-type]


def values_of(
    path: Path | str, base: Path | None = None, **reading: object
) -> list[dict[str, object] | None]:
    return [row.values for row in rows_of(path, base, **reading)]


def parquet(path: Path, columns: dict[str, object], **how: object) -> Path:
    pq.write_table(pa.table(columns), path, **how)
    return path


def workbook(path: Path, *sheets: tuple[str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def database(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def test_every_reader_names_its_endings() -> None:
    assert {".csv", ".tsv", ".jsonl", ".parquet", ".xlsx"} <= set(readers())


def test_parquet_cells(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet",
        {
            "text": ["one", None, "三"],
            "label": pa.array(["x", "y", "x"]).dictionary_encode(),
            "n": [1, 2, 3],
            "f": [0.5, float("nan"), None],
            "at": pa.array([DAY, None, DAY], pa.timestamp("ns")),
            "price": [Decimal("1.10"), None, Decimal("2.00")],
            "raw": [b"bytes", b"", None],
            "tags": [["a", "b"], [], None],
        },
    )
    first, second, third = values_of(path)
    assert first == {
        "text": "one", "label": "x", "n": 1, "f": 0.5, "at": "2024-03-01T12:30:00", "price": "1.10",
        "raw": "bytes", "tags": ["a", "b"],
    }  # fmt: skip
    assert second["f"] is None and second["text"] is None and third["text"] == "三"


def test_parquet_goes_by_batches_of_row_groups(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.pq", {"text": [f"t{i}" for i in range(5_000)]}, row_group_size=700)
    rows = read_rows(open_source(path))
    assert next(rows).values == {"text": "t0"}
    assert [row.number for row in rows][-1] == 5_000


def test_parquet_bytes_that_are_no_text_leave_out_their_row_only(tmp_path: Path) -> None:
    broken = pa.array([b"good", "größer".encode("cp1252"), b"fine"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, broken.buffers())
    first, second, third = rows_of(parquet(tmp_path / "a.parquet", {"text": text, "label": ["x", "y", "z"]}))
    assert (first.values, third.values) == ({"text": "good", "label": "x"}, {"text": "fine", "label": "z"})
    assert second.problem == "undecodable: bytes that are not UTF-8 text" and second.hash


def test_parquet_label_names_of_hub_data_sets(tmp_path: Path) -> None:
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "text": {"dtype": "string"}}
    table = pa.table({"text": list("abcd"), "label": [0, 1, -1, 7]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert [row["label"] for row in values_of(tmp_path / "a.parquet")] == ["neg", "pos", None, 7]


def test_excel_cells_and_blank_rows(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        (
            "Tickets",
            [[], ["text", "label", None, "at"], ["one", "x", None, DAY], [], ["two", 7, True], ["#N/A", 1.5]],
        ),
    )
    assert open_source(path).columns == ("text", "label", "column_3", "at")
    rows = rows_of(path)
    assert [row.number for row in rows] == [1, 2, 3]
    assert [row.values for row in rows] == [
        {"text": "one", "label": "x", "column_3": None, "at": "2024-03-01T12:30:00"},
        {"text": "two", "label": 7, "column_3": True, "at": None},
        {"text": None, "label": 1.5, "column_3": None, "at": None},
    ]


def test_excel_sheets_by_name_and_number(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ("A & B", [["a"], ["1"]]), ("2024", [["b"], ["2"]]))
    assert values_of(path) == values_of(path, sheet="A & B") == [{"a": "1"}]
    assert values_of(path, sheet=2) == values_of(path, sheet="2024") == [{"b": "2"}]


def test_excel_rows_wider_than_the_header_are_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", ("S", [["text"], ["one"], ["two", "more"]]))
    assert [row.problem for row in rows_of(path)] == ["", "malformed: 2 cells where the header has 1"]


def test_excel_formulas_give_the_values_they_had(tmp_path: Path) -> None:
    """A formula that no program computed has no value: its row is named, not read as empty."""
    path = workbook(tmp_path / "a.xlsx", ("S", [["text", "label"], ["one", "=1+1"], ["two", "x"]]))
    assert [row.problem for row in rows_of(path)] == ["formula_without_value: B2 was never computed", ""]
    computed = tmp_path / "computed.xlsx"
    with_values(path, computed, "<f>1+1</f><v></v>", "<f>1+1</f><v>2</v>")
    assert values_of(computed) == [{"text": "one", "label": 2}, {"text": "two", "label": "x"}]


def with_values(path: Path, target: Path, old: str, new: str) -> None:
    """Copy a workbook with a part of its first sheet replaced, as if Excel had computed it."""
    import zipfile

    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as sink:
        for member in source.infolist():
            content = source.read(member)
            if member.filename.endswith("sheet1.xml"):
                text = content.decode()
                assert old in text or old.replace("<v></v>", "<v />") in text, text
                content = text.replace(old.replace("<v></v>", "<v />"), new).replace(old, new).encode()
            sink.writestr(member, content)


def test_sql_rows(tmp_path: Path) -> None:
    database(
        tmp_path / "t.db",
        "create table tickets (id integer, subject text, queue text, body blob)",
        "insert into tickets values (1, 'one: a', 'x', x'6869'), (2, 'two', 'y', x'ff00'), (3, null, 'x', null)",
    )
    query = "select id, subject, queue, body from tickets where subject is null or subject not like ':none' order by id"
    rows = rows_of("sqlite:///t.db", tmp_path, query=query)
    assert rows[0].values == {"id": 1, "subject": "one: a", "queue": "x", "body": "hi"}
    assert rows[1].problem == "undecodable: bytes that are not UTF-8 text"
    assert rows[2].values == {"id": 3, "subject": None, "queue": "x", "body": None}
    assert {row.file for row in rows} == {"sqlite:///t.db"}


def test_sql_text_that_is_no_utf8_leaves_out_its_row_only(tmp_path: Path) -> None:
    database(
        tmp_path / "t.db", "create table t (a text)", "insert into t values ('ok'), (cast(x'ff' as text))"
    )
    assert [row.problem for row in rows_of("sqlite:///t.db", tmp_path, query="select a from t")] == [
        "",
        "undecodable: bytes that are not UTF-8 text",
    ]


def test_sql_is_read_as_far_as_asked_and_never_written(tmp_path: Path) -> None:
    path = database(tmp_path / "t.db", "create table t (a text)", "insert into t values ('ok')")
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
    rows = read_rows(open_source("sqlite:///t.db", Reading(query=endless), tmp_path))
    assert next(rows).values == {"i": 1}
    rows.close()
    before = path.read_bytes()
    for query in ("delete from t", "with x as (select 1) delete from t"):
        with pytest.raises(DataError):
            rows_of("sqlite:///t.db", tmp_path, query=query)
    assert path.read_bytes() == before


def test_the_hash_of_a_query_goes_by_its_rows(tmp_path: Path) -> None:
    database(
        tmp_path / "t.db", "create table t (a text, b text)", "insert into t values ('1', 'x'), ('2', 'y')"
    )

    def hashes(query: str) -> list[tuple[str, str]]:
        return list(open_source("sqlite:///t.db", Reading(query=query), tmp_path).hashes())

    assert hashes("select a, b from t order by a") == hashes("select a, b from t order by a desc")
    first = hashes("select a, b from t")
    database(tmp_path / "t.db", "insert into t values ('2', 'y')")
    assert hashes("select a, b from t") != first
