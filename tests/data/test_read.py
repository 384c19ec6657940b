"""Every kind of source gives the same rows, in order; what cannot be read is named, not lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rung.core.errors import DataError
from rung.core.types import Row
from rung.data.sources.read import open_source, read_rows

WANTED = [{"text": 'a, "quoted"\ncell', "label": "x"}, {"text": "second", "label": "y"}]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows_of(path: Path) -> list[Row]:
    return list(read_rows(open_source(path)))


def problems(path: Path) -> list[str]:
    return [row.problem for row in rows_of(path)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n"a, ""quoted""\ncell",x\nsecond,y\n'),
        ("a.csv", 'text;label\n"a, ""quoted""\ncell";x\nsecond;y\n'),
        ("a.csv", '"text, of;all"\n'.replace("text, of;all", "text") + "x\n"),
        ("a.tsv", 'text\tlabel\n"a, ""quoted""\ncell"\tx\nsecond\ty\n'),
        ("a.txt", 'text|label\n"a, ""quoted""\ncell"|x\nsecond|y\n'),
        ("a.jsonl", "\n".join(json.dumps(row) for row in WANTED)),
        ("a.ndjson", "\n\n".join(json.dumps(row) for row in WANTED) + "\n"),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, content: str) -> None:
    found = [row.values for row in rows_of(write(tmp_path / name, content))]
    assert found == WANTED or found == [{"text": "x"}]


def test_delimiters_inside_quotes_of_the_header_do_not_count(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.csv", '"text; a; b; c",label\nx,y\n'))
    assert source.columns == ("text; a; b; c", "label")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    content = "text,label\none,x\n\n\ntwo,y\n".replace("\n", end)
    rows = rows_of(write(tmp_path / "a.csv", content.encode()))
    assert [(row.number, row.values) for row in rows] == [
        (1, {"text": "one", "label": "x"}),
        (2, {"text": "two", "label": "y"}),
    ]


def test_blank_lines_before_the_header(tmp_path: Path) -> None:
    assert open_source(write(tmp_path / "a.csv", "\n\ntext;label\none;x\n")).columns == ("text", "label")


def test_a_header_with_a_mark_and_quotes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'\xef\xbb\xbf"text","label"\none,x\n')
    assert open_source(path).columns == ("text", "label")


def test_delimiters_at_the_end_of_rows(tmp_path: Path) -> None:
    assert rows_of(write(tmp_path / "a.csv", "text,label\none,x,,,\n"))[0].values == {
        "text": "one",
        "label": "x",
    }
    source = open_source(write(tmp_path / "b.csv", "text,label,\none,x,\n"))
    assert source.columns == ("text", "label", "column_3")


def test_rows_of_another_width_are_named(tmp_path: Path) -> None:
    found = problems(write(tmp_path / "a.csv", "text,label\none\na,b,c\ntwo,x\n"))
    assert found == [
        "malformed: 1 cell where the header has 2",
        "malformed: 3 cells where the header has 2",
        "",
    ]


def test_a_zero_byte_damages_its_row_only(tmp_path: Path) -> None:
    found = problems(write(tmp_path / "a.csv", "text,label\none,x\ntw\0o,x\nthree,y\n"))
    assert found == ["", "malformed: zero bytes, as damaged files hold", ""]


def test_a_short_cell_too_many_is_named(tmp_path: Path) -> None:
    found = problems(write(tmp_path / "a.csv", f"text,label\n{'x' * 1_000_001},a\n{'x' * 1_000_000},a\n"))
    assert found == ["cell_too_large: more than 1,000,000 characters in one cell", ""]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "cut', "malformed: not JSON"),
        ("[1, 2]", "malformed: a JSON list where an object should be"),
        ("3", "malformed: a JSON int where an object should be"),
        ('{"text": ' + "[" * 100_000, "malformed: not JSON"),
        ('{"text": ' + "1" * 5_000 + "}", "malformed: not JSON"),
        ('{"text": "\\ud800 alone"}', "malformed: half of a surrogate pair, which is no character"),
        ('{"\\uDC00": "x"}', "malformed: half of a surrogate pair, which is no character"),
        ('{"text": "' + "x" * 1_000_001 + '"}', "cell_too_large: more than 1,000,000 characters in one cell"),
    ],
)
def test_bad_json_lines_are_named(tmp_path: Path, line: str, problem: str) -> None:
    rows = rows_of(write(tmp_path / "a.jsonl", f'{{"text": "good"}}\n{line}\n{{"text": "good too"}}\n'))
    assert [row.problem for row in rows] == ["", problem, ""]
    assert rows[1].values is None
    assert rows[1].hash != 0


def test_json_values(tmp_path: Path) -> None:
    rows = rows_of(
        write(tmp_path / "a.jsonl", '{"text": "\\ud83d\\ude00", "label": NaN}\n{"label": -Infinity}\n')
    )
    assert [row.values for row in rows] == [{"text": "😀", "label": None}, {"label": None}]


def test_a_key_that_comes_late_is_a_column_all_the_same(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.jsonl", '{"text": "a"}\n' * 1_100 + '{"label": "x"}\n'))
    source.require("label", "data.target")
    with pytest.raises(DataError, match="there is no column 'lable'"):
        source.require("lable", "data.target")


def folder_of(base: Path) -> Path:
    for name, text in {
        "b/2.txt": "two",
        "b/deep/3.txt": "three",
        "a/1.txt": "one",
        "a/.hidden": "no",
    }.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return base


def test_folder_in_order(tmp_path: Path) -> None:
    rows = rows_of(folder_of(tmp_path / "texts.csv"))
    assert [(row.values or {})["text"] for row in rows] == ["one", "two", "three"]
    assert [(row.values or {})["label"] for row in rows] == ["a", "b", "b"]
    assert [row.file for row in rows] == ["a/1.txt", "b/2.txt", "b/deep/3.txt"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_that_loop_end(tmp_path: Path) -> None:
    base = folder_of(tmp_path / "texts")
    (base / "a" / "loop").symlink_to(base, target_is_directory=True)
    (base / "a" / "self").symlink_to(base / "a" / "self")
    (base / "c").symlink_to(base / "c")
    assert len(rows_of(base)) == 3


def test_files_of_a_folder_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = folder_of(tmp_path / "texts")
    (base / "a" / "9.bin").write_bytes(bytes(range(256)))
    (base / "b" / "8.txt").write_text("x" * 1_000_001)
    (base / "b" / "9.txt").write_bytes(b"x" * 4_000_005)
    whole = Path.open

    def refuse(path: Path, *rest: object, **named: object) -> object:
        if path.name == "2.txt":
            raise PermissionError(13, "Permission denied")
        return whole(path, *rest, **named)  # type: ignore[call-overload]

    source = open_source(base)
    monkeypatch.setattr(Path, "open", refuse)
    found = {row.file: row.problem for row in read_rows(source) if row.problem}
    assert found == {
        "a/9.bin": "undecodable: not text in UTF-8, UTF-16 or GB18030",
        "b/2.txt": "unreadable: permission denied",
        "b/8.txt": "cell_too_large: more than 1,000,000 characters in one file",
        "b/9.txt": "cell_too_large: more than 1,000,000 characters in one file",
    }


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names there are Unicode")
def test_a_file_name_that_is_not_utf8_stays_printable(tmp_path: Path) -> None:
    folder = tmp_path / "texts" / "a"
    folder.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("one")
    (row,) = rows_of(tmp_path / "texts")
    assert row.file == "a/caf\\xe9.txt"


def test_a_file_that_shrinks_gives_what_is_left(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n" + "some text,x\n" * 50_000)
    rows = read_rows(open_source(path))
    first = next(rows)
    os.truncate(path, 100)
    assert first.number == 1
    assert len(list(rows)) < 50_000


def test_reading_goes_row_by_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\none,x\n" + '"open\n')
    rows = read_rows(open_source(path))
    assert next(rows).values == {"text": "one", "label": "x"}
    with pytest.raises(DataError, match="never closed"):
        next(rows)
