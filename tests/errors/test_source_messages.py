"""The exact words for sources that cannot be read: files of every format, databases, addresses."""

from __future__ import annotations

import gzip
import io
import socket
import sqlite3
import sys
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from packing import pack
from rung.core.errors import RungError
from rung.core.spec.product import Product
from rung.core.spec.source_names import masked
from rung.data.sources import files
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading

TABLE = "text,label\none,x\n"


def message(path: Any, base: Path | None = None, **reading: Any) -> str:
    with pytest.raises(RungError) as caught:
        list(read_rows(open_source(path, Reading(**reading), base)))
    assert caught.value.fix
    return str(caught.value)


def workbook(path: Path, rows: list[list[Any]], merge: str = "") -> Path:
    book = openpyxl.Workbook()
    book.active.title = "Tickets"
    for row in rows:
        book.active.append(row)
    if merge:
        book.active.merge_cells(merge)
    book.save(path)
    return path


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"")
    assert message(path) == "a.parquet: the file is empty\nIt needs a header and rows."
    path.write_bytes(b"text,label\none,x\n")
    assert message(path).startswith(
        "a.parquet: this is no Parquet file, or a damaged one: Parquet magic bytes"
    )
    pq.write_table(pa.table({"text": ["one"] * 1000, "label": [str(i) for i in range(1000)]}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    assert "this is no Parquet file, or a damaged one" in message(path)
    path.write_bytes(whole[:50] + bytes(200) + whole[250:])
    assert "this is no Parquet file, or a damaged one" in message(path)
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert message(path) == "a.parquet: there are columns but no row\nIt needs rows."
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    assert message(path) == "a.parquet: the header holds the column 'a' more than once\nRename one of them."
    path.rename(tmp_path / "a.parquet.gz")
    assert message(tmp_path / "a.parquet.gz") == (
        "a.parquet.gz: Parquet is packed by itself\nUnpack the .gz, name what it holds."
    )


def test_excel_without_a_table(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [])
    assert message(path) == (
        "a.xlsx: the sheet 'Tickets' is empty\nIt needs a header and rows, or name another `data.sheet`."
    )
    workbook(path, [["text", "label"], []])
    assert message(path) == "a.xlsx: the sheet 'Tickets' has a header but no row\nAdd rows below the header."


def test_excel_sheets(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["text"], ["one"]])
    assert message(path, sheet="Ticket") == (
        "a.xlsx: there is no sheet 'Ticket' (data.sheet)\nDid you mean 'Tickets'?"
    )
    assert message(path, sheet=2024) == (
        "a.xlsx: there is no sheet 2024 (data.sheet)\nBy number there are 1 to 1; a name that is a number needs quotes. "
        "The sheets: 'Tickets'."
    )


def test_excel_merged_cells(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["text", "label"], ["one", "x"], ["two", None]], merge="B2:B3")
    assert message(path) == (
        "a.xlsx: the cells B2:B3 of the sheet 'Tickets' are merged, so all but one of them are empty\n"
        "Unmerge them and fill each cell, then save."
    )


def test_excel_that_is_damaged_locked_or_old(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", [["text"], ["one"]])
    whole = path.read_bytes()
    damaged = "a.xlsx: this is no workbook, or a damaged one: "
    path.write_bytes(whole[:-200])
    assert message(path).startswith(damaged + "File is not a zip file")
    path.write_bytes(b"text\none\n")
    assert message(path).startswith("a.xlsx: this is text, no workbook\nPrograms export such files")
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(path, "w") as sink:
        for name in source.namelist():
            sink.writestr(name, source.read(name)[:300] if name.endswith("sheet1.xml") else source.read(name))
    assert message(path).startswith(damaged)
    with zipfile.ZipFile(path, "w") as sink:
        sink.writestr("word/document.xml", "<x/>")
    assert message(path).startswith(damaged)
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2_000)
    path.write_bytes(ole)
    assert message(path).startswith(damaged)
    path.write_bytes(ole + "EncryptedPackage".encode("utf-16-le") + bytes(500))
    assert message(path) == "a.xlsx: the workbook is locked with a password\nSave it without a password."


def test_a_workbook_that_unpacks_to_far_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.data.readers import workbook as reader

    monkeypatch.setattr(reader, "MOST_UNPACKED", 1000)
    monkeypatch.setattr(reader, "MOST_TIMES", 2)
    path = workbook(tmp_path / "a.xlsx", [["text"], *[["one"]] * 5_000])
    assert "bytes, more than 2 times its size\nThat is how decompression bombs look." in message(path)


@pytest.mark.parametrize("cut", [5, 30, -10])
def test_a_truncated_archive(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress((TABLE + "more,y\n" * 1000).encode())[:cut])
    assert message(path) == (
        "a.csv.gz: it is cut off or damaged: compressed file ended before the end-of-stream marker was reached\n"
        "Fetch or pack it again: what can be unpacked of it is not all."
    )


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst", "zip"])
def test_what_is_no_archive(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.csv.{ending}"
    path.write_text(TABLE)
    assert message(path).startswith(f"a.csv.{ending}: ")


@pytest.mark.parametrize("ending", ["bz2", "xz", "zst", "zip"])
def test_a_damaged_archive(tmp_path: Path, ending: str) -> None:
    path = pack(
        tmp_path / f"a.csv.{ending}", (TABLE + "".join(f"text {i},y\n" for i in range(5000))).encode()
    )
    whole = path.read_bytes()
    path.write_bytes(
        whole[: len(whole) // 2] + bytes(len(whole) // 4)
        if ending != "zip"
        else whole[:4000] + bytes(99) + whole[4099:]
    )
    assert message(path).startswith(f"a.csv.{ending}: it is cut off or damaged: ")


def test_a_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_UNPACKED", 1 << 20)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress((TABLE + "one more row,x\n" * 200_000).encode()))
    assert message(path) == (
        f"a.csv.gz: it unpacks to more than {max(1 << 20, 200 * path.stat().st_size):,} bytes, more than 200 times its size\n"
        "That is how decompression bombs look. If you trust it, unpack it and name the unpacked file."
    )


def test_zip_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for count, words in ((0, "no file"), (2, "2 files")):
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(count):
                archive.writestr(f"{number}.csv", TABLE)
        assert message(path) == (
            f"a.zip: the archive holds {words}, and one table is read\n"
            'Unpack it, and name the file, or all of them with a pattern: `path: "folder/*.csv"`.'
        )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TABLE)
    locked = bytearray(path.read_bytes())
    for header in (b"PK\x03\x04", b"PK\x01\x02"):
        place = locked.index(header) + (6 if header == b"PK\x03\x04" else 8)
        locked[place] |= 1
    path.write_bytes(locked)
    assert message(path) == "a.zip: it cannot be unpacked: it needs a password\nUnpack it yourself."


def test_patterns_and_lists(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE)
    (tmp_path / "b.csv").write_text("text,queue\none,x\n")
    assert message("2024-*.csv", tmp_path) == (
        f"{tmp_path / '2024-*.csv'}: no file matches this pattern\nIn {tmp_path.name} there are: a.csv, b.csv."
    )
    assert message("none/*.csv", tmp_path) == (
        f"{tmp_path / 'none/*.csv'}: no file matches this pattern\nThere is nothing in {tmp_path / 'none'}."
    )
    assert message(["a.csv", "b.csv"], tmp_path) == (
        "b.csv: its columns are not those of a.csv: it has no 'label', it has 'queue'\n"
        "All files of a source need the same columns, in any order."
    )
    (tmp_path / "c.csv").write_bytes(b"")
    assert message("*.csv", tmp_path).startswith("c.csv: the file is empty")


def tickets(base: Path) -> None:
    connection = sqlite3.connect(base / "t.db")
    connection.execute("create table tickets (subject text)")
    connection.close()


def test_databases(tmp_path: Path) -> None:
    tickets(tmp_path)
    assert message("sqlite:///t.db", tmp_path) == (
        'sqlite:///t.db: a database needs a query (data.query)\nAdd one: `query: "select ... from ..."`. Tables: tickets.'
    )
    assert message("sqlite:///t.db", tmp_path, query="select * from tickts") == (
        "sqlite:///t.db: the database says: no such table: tickts\nDid you mean 'tickets'?"
    )
    assert message("sqlite:///t.db", tmp_path, query="select subjekt from tickets") == (
        "sqlite:///t.db: the database says: no such column: subjekt\nCheck the query in your database's own client."
    )
    assert message("sqlite:///t.db", tmp_path, query="select from where") == (
        'sqlite:///t.db: the database says: near "from": syntax error\nCheck the query in your database\'s own client.'
    )
    assert message("sqlite:///t.db", tmp_path, query="select * from tickets") == (
        "sqlite:///t.db: the query gives no row\nCheck the query in your database's own client."
    )
    assert message("sqlite:///t.db", tmp_path, query="drop table tickets") == (
        "sqlite:///t.db: the query begins with 'drop table tickets'\nBegin with select or with: data is only read."
    )
    assert message("sqlite:///t.db", tmp_path, query="select 1 as a, 2 as a") == (
        "sqlite:///t.db: the header holds the column 'a' more than once\nRename one of them."
    )
    assert message("sqlite:///u.db", tmp_path, query="select 1") == (
        f"{tmp_path / 'u.db'}: there is no such database file\nDid you mean 't.db'?"
    )
    assert not (tmp_path / "u.db").exists()
    (tmp_path / "v.db").write_text("this is no database at all, but some text" * 30)
    assert message("sqlite:///v.db", tmp_path, query="select 1 from x") == (
        "sqlite:///v.db: the database says: file is not a database\nCheck the query in your database's own client."
    )
    assert "the database says: Can't load plugin: sqlalchemy.dialects:quarkdb" in message(
        "quarkdb://h/x", query="select 1"
    )
    assert message("postgresql+psycopg2://u:p@h/x", query="select 1") == (
        "postgresql+psycopg2://***@h/x: its driver 'psycopg2' is not installed\npip install psycopg2"
    )


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://me:geheim@127.0.0.1:{closed.getsockname()[1]}/a.csv?sig=geheim"
        found = message(address)
    assert (
        found.endswith("Check the address and the network. Download it elsewhere and name the file.")
        and ": it cannot be fetched: " in found
    )
    assert "geheim" not in found and "http://***@127.0.0.1:" in found
    assert message("file:///data/a.csv") == (
        "file:///data/a.csv: addresses of the kind file:// are not read\nWrite the path alone."
    )
    assert message("s3://bucket/a.csv") == (
        "s3://bucket/a.csv: addresses of the kind s3:// are not read\nCopy the file here and name its path."
    )
    monkeypatch.delenv("NO_SUCH_NAME", raising=False)
    assert message("postgresql://u:${NO_SUCH_NAME}@h/x", query="select 1") == (
        "postgresql://***@h/x: the environment variable 'NO_SUCH_NAME' is not set\n"
        "Set it before you start rung: export NO_SUCH_NAME=..."
    )


def test_a_password_stands_in_nothing_that_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql://desk:ge@heim@h:5432/shop?password=geheim2"
    product = Product.model_validate(
        {
            "task": "text_classification",
            "data": {"path": address, "query": "select 1"},
            "bar": {"metric": "accuracy", "at_least": 0.5},
            "certify": {"path": address, "query": "select 2"},
        }
    )
    other = product.model_copy(
        update={"data": product.data.model_copy(update={"path": address.replace("heim", "x")})}
    )
    shown = [
        repr(product),
        str(product),
        product.model_dump_json(),
        product.data.identity,
        product.data.shown,
    ]
    shown.append(str(product.certify.identity))
    assert not any("heim" in text or "geheim2" in text for text in shown)
    assert product.model_dump()["data"]["path"] == "postgresql://***@h:5432/shop?password=***"
    assert product.fingerprint() == other.fingerprint()


def test_a_driver_that_repeats_the_password_is_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.core.spec.source_names import without_secrets, without_source_secrets

    monkeypatch.setenv("DESK_PASSWORD", "ge/heim")
    address = "postgresql://desk:${DESK_PASSWORD}@h/shop"
    said = 'could not connect: "postgresql://desk:ge%2Fheim@h/shop", password "ge/heim" refused'
    assert "heim" not in without_source_secrets(said, address)
    assert without_secrets(address) == address
    assert without_secrets("https://me:word@h/a.csv?token=t&id=1") == (
        "https://me:${SOURCE_PASSWORD}@h/a.csv?token=${SOURCE_PASSWORD}&id=1"
    )


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:p/geheim@h/x", "postgresql://***@h/x"),
        ("postgresql://u:p@geheim@h/x", "postgresql://***@h/x"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER;PWD=geheim", "mssql+pyodbc:///?odbc_connect=***;PWD=***"),
        ("https://u:geheim@h:8080/a.csv", "https://***@h:8080/a.csv"),
        ("https://u:geheim/x@h/a.csv", "https://***@h/a.csv"),
        ("HTTPS://geheim@h/a.csv", "HTTPS://***@h/a.csv"),
        ("https://h:8080/@me/a.csv?id=1", "https://h:8080/@me/a.csv?id=1"),
        ("https://h/@me/a.csv?X-Amz-Signature=geheim&id=1#x", "https://h/@me/a.csv?X-Amz-Signature=***&id=1#x"),
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("${DATABASE_URL}", "${DATABASE_URL}"),
        ("a@b/c.csv", "a@b/c.csv"),
    ],
)  # fmt: skip
def test_what_is_shown_of_an_address(address: str, shown: str) -> None:
    assert masked(address) == shown


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "a.xlsx", [["text"], ["one"]])
    for name in ("python_calamine", "sqlalchemy"):
        monkeypatch.setitem(sys.modules, name, None)
    assert (
        message(path)
        == "reading spreadsheets needs the package 'python-calamine'\nIn rung's source folder: pip install -e '.[excel]'"
    )
    assert message("sqlite:///a.db", tmp_path, query="select 1") == (
        "reading databases needs the package 'sqlalchemy'\nIn rung's source folder: pip install -e '.[sql]'"
    )
