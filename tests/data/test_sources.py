"""Packed files, patterns and lists: the same rows, file names kept, and a hash over all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from packing import pack
from rung.core.spec.product import Product
from rung.data.prepare.fingerprint import fingerprint_data
from rung.data.sources.read import open_source, read_rows

TABLE = "text,label\none,x\ntwo,y\n"
WANTED = [{"text": "one", "label": "x"}, {"text": "two", "label": "y"}]


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst", "zip"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_packed_files(tmp_path: Path, ending: str, encoding: str) -> None:
    data = (TABLE + "这是一个很长的句子,好\n" * 50).encode(encoding)
    source = open_source(pack(tmp_path / f"a.csv.{ending}", data))
    rows = list(read_rows(source))
    assert [row.values for row in rows[:2]] == WANTED and len(rows) == 52
    assert rows[0].file == f"a.csv.{ending}" and source.tables[0].encoding == encoding
    jsonl = pack(tmp_path / f"b.jsonl.{ending}", b'{"text": "one"}\n')
    assert [row.values for row in read_rows(open_source(jsonl))] == [{"text": "one"}]


def test_a_pattern_reads_its_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("2024-02.csv", "2024-01.csv", "2023-12.csv", ".2024-hidden.csv"):
        (tmp_path / "data" / name).write_text(f"text,label\n{name},x\nbad\n")
    source = open_source("data/2024-*.csv", base=tmp_path)
    assert source.name == "2024-01.csv, 2024-02.csv"
    rows = list(read_rows(source))
    assert [(row.file, row.number) for row in rows] == [
        ("2024-01.csv", 1), ("2024-01.csv", 2), ("2024-02.csv", 1), ("2024-02.csv", 2),
    ]  # fmt: skip
    assert [bool(row.problem) for row in rows] == [False, True, False, True]
    assert [row.file for row in read_rows(open_source("**/2023*", base=tmp_path))] == ["2023-12.csv"] * 2


def test_a_file_may_be_called_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text(TABLE)
    assert len(list(read_rows(open_source("a[1].csv", base=tmp_path)))) == 2


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text(TABLE)
    source = open_source(["one/a.csv", "two/a.csv"], base=tmp_path)
    assert [table.name for table in source.tables] == ["one/a.csv", "two/a.csv"]


def test_a_list_of_several_formats_and_orders_of_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE)
    pq.write_table(pa.table({"label": ["z"], "text": ["three"]}), tmp_path / "b.parquet")
    rows = read_rows(open_source(["b.parquet", "a.csv"], base=tmp_path))
    assert [row.values for row in rows] == [{"text": "three", "label": "z"}, *WANTED]


def spec(path: Any, **data: Any) -> Product:
    return Product.model_validate(
        {
            "task": "text_classification",
            "data": {"path": path, **data},
            "bar": {"metric": "accuracy", "at_least": 0.5},
        }
    )


def test_the_hash_of_the_data_covers_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TABLE)
    (tmp_path / "b.csv").write_text(TABLE)
    both, pattern = spec(["a.csv", "b.csv"]), spec("*.csv")
    first = fingerprint_data(both, tmp_path)
    assert first == fingerprint_data(pattern, tmp_path) != fingerprint_data(spec("a.csv"), tmp_path)
    (tmp_path / "b.csv").write_text(TABLE + "three,x\n")
    assert fingerprint_data(both, tmp_path) != first
    (tmp_path / "c.csv").write_text(TABLE)
    assert fingerprint_data(both, tmp_path) != fingerprint_data(pattern, tmp_path)


def test_quarantine_names_the_file_of_each_row(prepared: Any, table: str, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("text,label\nonly one cell\n")
    made = prepared(table, "data.csv", path=["data.csv", "more.csv"])
    assert [(row["file"], row["row"], row["reason"]) for row in made.quarantine] == [
        ("more.csv", 1, "malformed")
    ]
    assert made.facts["encoding"] == {"data.csv": "utf-8", "more.csv": "utf-8"}
    assert set(made.train.files) == {"data.csv"} and len(made.train.files) == len(made.train)
