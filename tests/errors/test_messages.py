"""The exact words for each bad input: the value, the place, the fix."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError
from rung.core.spec.product import Product, load_product, parse_product
from rung.data.prepare.prepare import prepare
from rung.tasks.text_classification import TextClassification

HEAD = "text,label\n"
PLAN = "`rung plan DATA` writes a product.yaml that works; docs/reference/product.md lists every key."


def run(base: Path, content: str | bytes | None, name: str = "data.csv", **spec: Any) -> Any:
    """Return the facts of preparing a file, all rows but the held-out ones training."""
    if content is not None:
        (base / name).write_bytes(content.encode() if isinstance(content, str) else content)
    data = {"path": name, **spec.pop("data", {})}
    wanted = {
        "task": "text_classification",
        "data": data,
        "bar": {"metric": "accuracy", "at_least": 0.9},
        **spec,
    }
    folder = base / "prepared"
    folder.mkdir(exist_ok=True)
    lock = CertificateLock(base / "certificate.lock")
    return prepare(Product.model_validate(wanted), base, TextClassification(), lock, folder).facts


def message(base: Path, content: str | bytes | None, name: str = "data.csv", **spec: Any) -> str:
    with pytest.raises(RungError) as caught:
        run(base, content, name, **spec)
    assert caught.value.fix
    return str(caught.value)


def many(rows: int, labels: int) -> str:
    return HEAD + "".join(f"text {i},label {i % labels}\n" for i in range(rows))


def test_missing_file(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text(many(5, 2))
    assert message(tmp_path, None, "ticket.csv") == (
        f"{tmp_path / 'ticket.csv'}: there is no such file or folder\nDid you mean 'tickets.csv'?"
    )


def test_empty_file(tmp_path: Path) -> None:
    assert message(tmp_path, b"") == "data.csv: the file is empty\nIt needs a header and rows."


@pytest.mark.parametrize("content", ["\n\n  \n", "\ufeff\n"])
def test_blank_file(tmp_path: Path, content: str) -> None:
    assert (
        message(tmp_path, content) == "data.csv: the file holds only blank lines\nIt needs a header and rows."
    )


@pytest.mark.parametrize("content", [HEAD, "\ufeff" + HEAD + "\n\n", "text,label"])
def test_header_only(tmp_path: Path, content: str) -> None:
    assert message(tmp_path, content) == "data.csv: there is a header but no row\nAdd rows below the header."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04" + bytes(50), "this is a zip archive or an Excel workbook, not a text file"),
        (b"\x1f\x8b\x08 rest", "this is a gzip archive, not a text file"),
        (b"PAR1 rest", "this is a Parquet file, not a text file"),
        (bytes(600), "this is not a text file: 600 of its first 600 bytes are control characters"),
    ],
)
def test_binary_file(tmp_path: Path, content: bytes, problem: str) -> None:
    assert message(tmp_path, content) == f"data.csv: {problem}\nExport the table as CSV in UTF-8."


def test_random_bytes(tmp_path: Path) -> None:
    found = message(tmp_path, random.Random(0).randbytes(5_000))
    assert found.startswith("data.csv: this is not a text file: ")


@pytest.mark.parametrize(
    ("name", "kind"), [("data.pdf", "files of kind '.pdf'"), ("data", "files without an ending")]
)
def test_unknown_kind(tmp_path: Path, name: str, kind: str) -> None:
    assert (
        message(tmp_path, "x", name)
        == f"{name}: {kind} are not read\nSave it as .csv, .tsv, .jsonl, .parquet or .xlsx."
    )


def test_folder_called_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "data.csv").mkdir()
    assert message(tmp_path, None) == (
        f"{tmp_path / 'data.csv'}: no files in sub-folders\n"
        "A folder needs one sub-folder per class: <class>/<file>.txt, or <class>/<file>.png and the like."
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipe_called_like_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "data.csv")
    assert message(tmp_path, None) == (
        f"{tmp_path / 'data.csv'}: this is neither a file nor a folder\nSave the table as a file."
    )


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "data.csv").write_text(many(5, 2))
    (tmp_path / "prepared").mkdir()
    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert message(tmp_path, None) == (
        f"{tmp_path / 'data.csv'}: it cannot be read: permission denied\nCheck the path and its permissions."
    )


def test_json_that_is_no_json_lines(tmp_path: Path) -> None:
    assert message(tmp_path, '[\n{"text": "a"}\n]'.replace("{", "[").replace("}", "]"), "data.jsonl") == (
        'data.jsonl: no line is a JSON object\nEach line must look like {"text": "...", "label": "..."}.'
    )


def test_one_class(tmp_path: Path) -> None:
    assert message(tmp_path, many(60, 1)) == (
        "data.csv: all training rows have the label 'label 0': there is nothing to classify\n"
        "A classifier needs rows of at least two labels."
    )


def test_one_row_per_class(tmp_path: Path) -> None:
    assert message(tmp_path, many(40, 40), certify={"fraction": 0.0}) == (
        "data.csv: each of the 40 labels occurs in a single training row: there is nothing to learn from\n"
        "Collect at least 5 rows of each label, or choose another `data.target` if this one is an id."
    )


def test_almost_one_row_per_class(tmp_path: Path) -> None:
    assert message(tmp_path, many(60, 40), certify={"fraction": 0.0}) == (
        "data.csv: the target holds 40 different labels in 60 training rows: more like an id than a label\n"
        "Choose another `data.target`, or collect at least two rows of each label on average."
    )


def test_too_few_rows(tmp_path: Path) -> None:
    assert message(tmp_path, many(8, 2), certify={"fraction": 0.0}) == (
        "data.csv: 8 training rows of 2 labels are too few to learn from\n"
        "Collect at least 5 rows of each of two labels; 50 each is where results become useful."
    )


def test_ten_thousand_classes(tmp_path: Path) -> None:
    assert message(tmp_path, many(20_000, 10_000), certify={"fraction": 0.0}) == (
        "data.csv: the target holds 10,000 different labels; at most 1,000 can be learned\n"
        "Choose another `data.target`, or merge labels into fewer, wider ones."
    )


def test_all_text_empty(tmp_path: Path) -> None:
    assert message(tmp_path, HEAD + " ,a\n,b\n" * 10) == (
        "data.csv: none of the 20 rows can be used (empty_input: 20)\n"
        "Check `data.input`: is 'text' the column that holds the text?"
    )


def test_no_target_at_all(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{('', 'NaN', 'null', ' ')[i % 4]}\n" for i in range(1_200))
    assert message(tmp_path, HEAD + rows) == (
        "data.csv: none of the 1,200 rows can be used (missing_target: 1,200)\n"
        "Check `data.target`: is 'label' the column that holds the answer? "
        "No labels yet? `rung label product.yaml` asks for them."
    )


def test_no_target_in_some_rows_is_no_error(tmp_path: Path) -> None:
    facts = run(tmp_path, many(60, 2) + "a,\nb,NaN\nc,N/A\nd,#N/A\ne,None\n")
    assert facts["quarantined"] == {"missing_target": 5}
    assert facts["used"] == 60


def test_times_that_are_none(tmp_path: Path) -> None:
    assert message(tmp_path, many(20, 2), data={"time": "label"}) == (
        "data.csv: none of the 20 rows can be used (bad_time: 20)\n"
        "Check `data.time`: is 'label' a column of dates?"
    )


@pytest.mark.parametrize(
    ("key", "column", "fix"),
    [
        ("input", "txt", "Did you mean 'text'?"),
        ("target", "Label", "Did you mean 'label'? No labels yet? `rung label product.yaml` asks for them."),
        ("group", "customer", "Known: 'text', 'label'."),
        ("time", "when", "Known: 'text', 'label'."),
    ],
)
def test_column_that_is_not_there(tmp_path: Path, key: str, column: str, fix: str) -> None:
    found = message(tmp_path, many(20, 2), data={key: column})
    assert found == f"data.csv: there is no column '{column}' (data.{key})\n{fix}"


def test_column_of_the_certification_file(tmp_path: Path) -> None:
    (tmp_path / "fresh.csv").write_text("text,queue\nx,a\n")
    assert message(tmp_path, many(20, 2), certify={"path": "fresh.csv"}) == (
        "fresh.csv: there is no column 'label' (data.target)\nKnown: 'text', 'queue'."
    )


def test_long_column_names_are_cut(tmp_path: Path) -> None:
    found = message(tmp_path, "x" * 5_000 + ",label\na,b\n")
    assert found.endswith(f"Known: '{'x' * 57}...', 'label'.")


def test_column_that_stands_twice(tmp_path: Path) -> None:
    assert message(tmp_path, "text,label,text\na,b,c\n") == (
        "data.csv: the header holds the column 'text' more than once\nRename one of them."
    )


def test_a_million_columns(tmp_path: Path) -> None:
    assert message(tmp_path, ",".join(f"c{i}" for i in range(1_000_000)) + "\n1\n") == (
        "data.csv: the header has 1,000,000 columns; at most 20,000 are read\n"
        "Is this the table? Keep the columns that matter."
    )


def test_numbers_as_labels(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{i * 0.5}\n" for i in range(400))
    assert message(tmp_path, HEAD + rows, certify={"fraction": 0.0}) == (
        "data.csv: the target holds 400 different numbers in 400 rows: that is a quantity, not a label\n"
        "Choose another `data.target`, or group the numbers into a few named ranges."
    )


def test_texts_as_labels(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{f'answer {i % 40} ' * 30}\n" for i in range(400))
    assert message(tmp_path, HEAD + rows, certify={"fraction": 0.0}) == (
        "data.csv: most of the 40 labels have more than 200 characters: those are texts, not labels\n"
        "Choose another `data.target`: a column of a few short values."
    )


def test_few_numbers_are_categories(tmp_path: Path) -> None:
    facts = run(
        tmp_path, HEAD + "".join(f"text {i},{i % 5 + 1}\n" for i in range(200)), certify={"fraction": 0.0}
    )
    assert facts["labels"] == {"1": 40, "2": 40, "3": 40, "4": 40, "5": 40}


def test_mixed_encodings(tmp_path: Path) -> None:
    content = (
        many(60, 2).encode() + "文字很多的一行,label 1\n".encode() + "坏的一行,label 1\n".encode("gb18030")
    )
    assert run(tmp_path, content)["quarantined"] == {"undecodable": 1}
    line = json.loads((tmp_path / "prepared" / "quarantine.jsonl").read_text())
    assert line["detail"] == "not utf-8 like most of the file"
    assert line["row"] == 62


def test_broken_utf16(tmp_path: Path) -> None:
    assert message(tmp_path, many(20, 2).encode("utf-16") + b"\x00\xd8A\x00") == (
        "data.csv: the file is not utf-16 all through\n"
        "Save the file as UTF-8. If the spec has a `data.encoding`, is it the right one?"
    )


def test_no_encoding(tmp_path: Path) -> None:
    assert message(tmp_path, HEAD.encode() + bytes([0xFF, 0x81, 0xFE, 0x8D]) * 20 + b"\n") == (
        "data.csv: no character encoding fits this file\n"
        "Save the file as UTF-8, or name its encoding: `data: {encoding: gb18030}`."
    )


def test_a_cell_of_50_mb(tmp_path: Path) -> None:
    facts = run(tmp_path, many(60, 2) + "x" * 50_000_000 + ",label 1\nthe last text,label 0\n")
    assert facts["quarantined"] == {"cell_too_large": 1}
    assert facts["used"] == 61


@pytest.mark.parametrize(
    "bad", ['"never closed,label 1\n', '"never closed,label 1\n' + "text,label 0\n" * 200_000]
)
def test_quote_that_is_never_closed(tmp_path: Path, bad: str) -> None:
    assert message(tmp_path, many(30, 2) + '"two\nlines",label 1\n' + bad) == (
        "data.csv: a quote opens in line 34 and is never closed\n"
        'Close it, or double it where it belongs to the text: "".'
    )


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.data.sources.text_lines.MAX_LINE", 1 << 20)
    assert message(tmp_path, many(3, 2) + "x" * 2_000_000) == (
        "data.csv: line 5 has more than 1 million characters\n"
        "Is this the table? Each row must be on a line of its own."
    )


def spec(text: str) -> str:
    """Return what is said of a spec, without the last line, which is always the same."""
    with pytest.raises(RungError) as caught:
        parse_product(text)
    found, last = str(caught.value).rsplit("\n", 1)
    assert last == PLAN
    return found


def test_spec_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RungError) as caught:
        load_product(tmp_path / "product.yaml")
    assert str(caught.value) == (
        f"product.yaml: 1 problem\n  {tmp_path / 'product.yaml'}: there is no such file.\n{PLAN}"
    )


def test_spec_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "product.yaml"
    path.write_bytes("task: größer".encode("utf-16"))
    with pytest.raises(RungError) as caught:
        load_product(path)
    assert (
        str(caught.value)
        == f"product.yaml: 1 problem\n  {path}: is not UTF-8 text. Save it as UTF-8.\n{PLAN}"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1, YAML: the file must contain keys and values. Start with `task: text_classification`."),
        (
            "- a\n",
            "line 1, YAML: the file must contain keys and values. Start with `task: text_classification`.",
        ),
        (
            "task: a\n b: [\n",
            "line 2, YAML: mapping values are not allowed here. Check indentation, quotes and colons.",
        ),
        ("task: a\nname: x\0y\n", "line 2, YAML: the character U+0000 is not allowed. Delete it."),
        ("task: 2024-13-45\n", "YAML: a value cannot be read: month must be in 1..12. Put dates in quotes."),
        ("[" * 3_000, "YAML: it is nested too deeply. A spec has only a few levels."),
        ("a: &a [*a]\n", "YAML: it is nested too deeply. A spec has only a few levels."),
        (
            "x" * 300_000,
            "YAML: the file has more than 200,000 characters; a spec is about a page. Is this the spec?",
        ),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
                for a, b in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "YAML: its anchors expand to more than 10,000 values. Write the values out.",
        ),
        (
            "a: &a {k: 1}\n"
            + "".join(
                f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n"
                for a, b in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "YAML: its anchors expand to more than 10,000 values. Write the values out.",
        ),
    ],
)
def test_spec_that_cannot_be_read(text: str, problem: str) -> None:
    assert spec(text) == f"product.yaml: 1 problem\n  {problem}"


def test_everything_wrong_with_a_spec_at_once() -> None:
    text = """task: 1
data: {path: "", imput: text, input: text, target: text, group: yes}
bar:
- {metric: accuracy, at_least: 90}
- {metric: macro_f1, at_least: 90%, confidence: 2}
limits: {latency_ms: -3, size_mb: fifty}
budget: {effort: 2}
budget: {effort: 9, threads: 1.5}
certify: {fraction: 0.2, path: x.csv}
ladder: [majority, {model: majority, params: 3}]
seed: .inf
nmae: x
name: "a b"
3: three
"""
    assert spec(text).splitlines() == [
        "product.yaml: 21 problems",
        "  line 1, task: must be text, not 1. Put it in quotes.",
        "  line 2, data.path: must not be empty.",
        "  line 2, data.group: must be text, not true. Put it in quotes.",
        "  line 2, data.imput: is not a valid key. Did you mean 'input'?",
        "  line 2, data.target: the column 'text' is also an input. Give it one role.",
        "  line 3, bar: its conditions have different confidence levels. Use one for all.",
        "  line 4, bar.0.at_least: accuracy is between 0 and 1, not 90. Write 0.9.",
        "  line 5, bar.1.at_least: must be a number, not '90%'. Write 0.9.",
        "  line 5, bar.1.confidence: must be at most 0.9999, not 2.",
        "  line 6, limits.latency_ms: must be greater than 0, not -3.",
        "  line 6, limits.size_mb: must be a number, not 'fifty'.",
        "  line 8, budget: is given here and in line 7. Keep one.",
        "  line 8, budget.effort: must be 0, 1, 2, 3, 4 or 5, not 9.",
        "  line 8, budget.threads: must be a whole number, not 1.5.",
        "  line 9, certify: give fraction or path, not both.",
        "  line 10, ladder.1.params: must be a section of keys and values, not 3.",
        "  line 10, ladder: two rungs are called 'majority'. Give each its own `name`.",
        "  line 11, seed: must be a whole number, not inf.",
        "  line 12, nmae: is not a valid key. Did you mean 'name'?",
        "  line 13, name: may contain letters, digits, '_' and '-', but not 'a b'.",
        "  line 14, 3: must have text keys, not 3. Put the key in quotes.",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("bar: {metric: accuracy}", "line 1, bar: give exactly one of at_least and at_most."),
        ("bar: []", "line 1, bar: needs at least one condition. Such as {metric: accuracy, at_least: 0.9}."),
        ("bar: good", "line 1, bar: must be a section of keys and values, not 'good'."),
        (
            "bar: {metric: accuracy, at_least: 93}",
            "line 1, bar.at_least: accuracy is between 0 and 1, not 93. Write 0.93.",
        ),
        (
            "bar: {metric: accuracy, at_least: '0,9'}",
            "line 1, bar.at_least: must be a number, not '0,9'. Write 0.9.",
        ),
        (
            "bar: {metric: accuracy, at_least: .nan}",
            "line 1, bar.at_least: must be a finite number, not nan.",
        ),
        ("bar:", "line 1, bar: must be a section of keys and values, not empty."),
    ],
)
def test_the_bar(line: str, problem: str) -> None:
    assert spec(f"{line}\ntask: t\ndata: {{path: a.csv}}\n") == f"product.yaml: 1 problem\n  {problem}"


def test_missing_keys() -> None:
    assert spec("name: x\n") == (
        "product.yaml: 3 problems\n  task: is missing.\n  data: is missing.\n  bar: is missing."
    )
