"""JSON files: arrays of objects are read one by one, and said where they are broken."""

import gzip
import json
import tracemalloc

import pytest

from rung.core.errors import DataError
from rung.data.readers import json_array
from rung.data.sources.read import open_source, read_rows
from support import run_cli

ROWS = [{"text": f'row {i}, "quoted" ] }} 你好', "label": "ab"[i % 2], "n": i / 3} for i in range(500)]


def read(path):
    source = open_source(path)
    return source, list(read_rows(source))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_an_array_of_objects_is_a_table(tmp_path, indent, encoding, monkeypatch):
    monkeypatch.setattr(json_array, "_PIECE", 37)
    (tmp_path / "d.json").write_text(
        "\n " + json.dumps(ROWS, ensure_ascii=False, indent=indent) + "\n", encoding
    )
    source, found = read(tmp_path / "d.json")
    assert source.columns == ("text", "label", "n")
    assert [row.values for row in found] == ROWS and [row.number for row in found[:2]] == [1, 2]


def test_keys_may_come_late_and_elements_that_are_no_objects_are_counted(tmp_path):
    (tmp_path / "d.json").write_text('[{"a": 1}, 7, [2], null, {"a": NaN, "b": "x"}, {"a": "\\ud800"}]')
    source, found = read(tmp_path / "d.json")
    assert source.columns == ("a", "b")
    assert [row.problem.partition(":")[0] for row in found] == [
        "",
        "malformed",
        "malformed",
        "malformed",
        "",
        "malformed",
    ]
    assert found[4].values == {"a": None, "b": "x"} and found[1].hash


def test_an_object_per_line_and_a_packed_array(tmp_path):
    (tmp_path / "d.json").write_text("\n".join(map(json.dumps, ROWS)))
    assert [row.values for row in read(tmp_path / "d.json")[1]] == ROWS
    (tmp_path / "e.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    assert [row.values for row in read(tmp_path / "e.json.gz")[1]] == ROWS


@pytest.mark.parametrize(
    "text,problem",
    [
        ('[{"a": 1}, {"a": 2}', "cut off or no JSON after row 1"),
        ('[{"a": 1}, {"a": ', "cut off or no JSON after row 1"),
        ('[{"a": 1} {"a": 2}]', "cut off or no JSON after row 1"),
        ('[{"a": 1}, {a: 2}]', "cut off or no JSON after row 1"),
        ('[{"a": 1}] {"a": 2}', "more after the end of the array, row 1"),
        ("[]", "an array without objects"),
        ("[1, 2]", "an array without objects"),
        ('{\n "rows": [\n {"a": 1}]\n}', "one object"),
        ('"text"', "no table in JSON"),
    ],
)
def test_what_is_no_array_of_rows_is_said(tmp_path, text, problem):
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "d.json")
    assert problem in caught.value.problem and "array of objects" in caught.value.fix


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "d.json"
    with path.open("w") as file:
        file.write(
            "[" + ",".join(json.dumps({"text": "x" * 1000, "label": str(i % 2)}) for i in range(20_000)) + "]"
        )
    source = open_source(path)
    tracemalloc.start()
    assert sum(1 for _ in read_rows(source)) == 20_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 20_000_000 > 4 * most


def test_plan_and_predict_take_one(tmp_path):
    (tmp_path / "d.json").write_text(json.dumps(ROWS))
    done = run_cli(
        "plan", tmp_path / "d.json", "--target", "label", "-o", tmp_path / "p.yaml", "--lang", "en"
    )
    assert done.returncode == 0, done.stderr
    assert (
        "path: d.json" in (tmp_path / "p.yaml").read_text() and "name: d" in (tmp_path / "p.yaml").read_text()
    )
