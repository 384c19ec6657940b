"""Files that went through a spreadsheet, labels that look like markup, and bodies of requests from odd programs."""

import csv
import io

import pytest

from case_products import HERE
from labelling_world import session_in, truth_of
from rung.annotation.csv_io import export_rows, import_labels
from rung.cli.options import console
from rung.core.csv_cells import delimiter_of, hash_cell, hash_of_cell
from rung.core.errors import InputError
from rung.core.types import Field, Schema
from rung.serving.http.schemas import parse_body, request_model
from support import run_cli


def saved(path, delimiter=",", change=lambda row: row):
    """Fill in the labels and save the file as a spreadsheet would."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(change(row | {"label": truth_of(row["text"])}) for row in rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_labels_saved_with_another_delimiter_are_imported(tmp_path, delimiter):
    with session_in(tmp_path) as session:
        export_rows(session.next_batch("Ana", 6), tmp_path / "r.csv")
        saved(tmp_path / "r.csv", delimiter)
        assert import_labels(session, tmp_path / "r.csv", "Ana").labelled == 6


@pytest.mark.parametrize("mangled", ["1.23457E+15", "1234567890123450", "1,23E+15", ""])
def test_a_hash_that_became_a_number_is_found_by_file_and_row(tmp_path, mangled):
    with session_in(tmp_path) as session:
        export_rows(session.next_batch("Ana", 6), tmp_path / "r.csv")
        assert "h:" in (tmp_path / "r.csv").read_text(encoding="utf-8")
        saved(tmp_path / "r.csv", change=lambda row: row | {"hash": mangled})
        assert import_labels(session, tmp_path / "r.csv", "Ana").labelled == 6


def test_hashes_of_version_0_1_have_no_prefix():
    assert hash_of_cell(hash_cell("00aa")) == hash_of_cell("00AA ") == "00aa" and hash_cell("") == ""
    assert [delimiter_of(head) for head in ("file;row;hash,x\n1,2,3,4", "\ufefffile,row\n", "a\tb")] == [
        ";",
        ",",
        "\t",
    ]


def test_labels_that_look_like_emoji_codes_are_printed_as_they_are(tmp_path, capsys):
    screen = console()
    screen.print(":fire: f1:a:b", markup=False)
    screen.print("f1:a:b :label:")
    assert capsys.readouterr().out.split() == [":fire:", "f1:a:b", "f1:a:b", ":label:"]
    planned = run_cli("plan", HERE / "emoji.csv", "-o", tmp_path / "p.yaml", "--lang", "en")
    assert "':label:'" in planned.stdout or ":label:" in planned.stdout
    assert "🔥" not in planned.stdout and "🏷" not in planned.stdout and "🅰" not in planned.stdout


def model_of(*kinds):
    fields = tuple(Field(f"x{i}", kind, "input") for i, kind in enumerate(kinds))
    return request_model("m", Schema(fields, (Field("label", "category", "output", ("a", "b")),)), 10)


def test_a_null_text_is_an_empty_one():
    parsed = parse_body(model_of("text", "number"), b'{"inputs": {"x0": null, "x1": 1}}')
    assert parsed.inputs.model_dump(by_alias=True)["x0"] is None
    with pytest.raises(InputError):
        parse_body(model_of("text"), b'{"inputs": {"x0": null}}')


def test_a_byte_order_mark_before_a_body_is_passed_over():
    assert parse_body(model_of("text"), b'\xef\xbb\xbf{"inputs": {"x0": "a"}}').inputs


@pytest.mark.parametrize(
    "sent,read",
    [
        (rb"b \ud83d", "b \ufffd"), (rb"\ude00 c", "\ufffd c"), (rb"\ud83d\ude00", "\U0001f600"), (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
    ],
)  # fmt: skip
def test_half_of_a_surrogate_pair_spoils_no_other_row(sent, read):
    body = b'{"inputs": [{"x0": "a"}, {"x0": "' + sent + b'"}]}'
    found = parse_body(model_of("text"), body, is_mended=True)
    assert [row.model_dump(by_alias=True)["x0"] for row in found.inputs] == ["a", read]


def test_what_is_no_json_is_still_refused():
    for body in (b"\xef\xbb\xbf", b'{"inputs": "\\ud83d', b"\xff"):
        with pytest.raises(InputError):
            parse_body(model_of("text"), body, is_mended=True)
