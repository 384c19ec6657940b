"""`rung predict` with files: folders, single files and tables of paths; what leads out of a folder is refused."""

import base64
import csv
import io
import json

import pytest
from click.testing import CliRunner

from rung.cli import root
from rung.modalities.documents.kind import FileKind
from small_models import Answering, Streaming, small


def told(row):
    return next(v for v in row.values() if hasattr(v, "read")).read().decode("latin-1").upper()


@pytest.fixture
def predict(monkeypatch, tmp_path):
    """Run `rung predict` on a model whose one input is a file."""

    def run(*args, model=None):
        model = model or small(tmp_path, Answering(told), photo="file")
        monkeypatch.setattr("rung.serving.predictor.open_bundle", lambda path: model)
        monkeypatch.chdir(tmp_path)
        return CliRunner().invoke(root, ["predict", "bundle", *map(str, args)])

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(FileKind, "suffixes", frozenset({".png"}))
    monkeypatch.setattr(FileKind, "max_bytes", 10)
    place = tmp_path / "photos"
    for name in (
        "a.png",
        "deep/b.PNG",
        "deep/公司.png",
        "empty.png",
        "large.png",
        "notes.txt",
        ".hidden.png",
        ".git/c.png",
    ):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(
            {"empty.png": "", "large.png": "x" * 11}.get(name, name[0]), encoding="utf-8"
        )
    (tmp_path / "secret.png").write_text("secret")
    (place / "out.png").symlink_to(tmp_path / "secret.png")
    (place / "in.png").symlink_to(place / "a.png")
    (place / "gone.png").symlink_to(place / "nowhere.png")
    (place / "loop").symlink_to(place)
    return place


def lines(text):
    return {row["file"]: row for row in csv.DictReader(io.StringIO(text))}


def test_a_folder_is_predicted_a_line_for_each_file(predict, folder):
    done = predict("photos/")
    found = lines(done.stdout)
    assert done.exit_code == 0 and list(found)[-2:] == ["deep/b.PNG", "deep/公司.png"]
    assert "SECRET" not in done.stdout and done.stdout == predict("photos").stdout
    assert {name: row["answer"] for name, row in found.items() if not row["error"]} == {
        "a.png": "A", "deep/b.PNG": "D", "deep/公司.png": "D", "in.png": "A",
    }  # fmt: skip
    errors = {name: row["error"] for name, row in found.items() if row["error"]}
    assert set(errors) == {"empty.png", "large.png", "notes.txt", "out.png", "gone.png"}
    assert "leads out of its folder" in errors["out.png"] and "at most 10" in errors["large.png"]
    assert "none of .png" in errors["notes.txt"] and "it is empty" in errors["empty.png"]
    assert "9 rows predicted, 5 with an error" in done.stderr
    by_option = predict("-i", "photos")
    assert by_option.stdout == done.stdout


def test_files_are_predicted_in_the_order_given(predict, folder):
    done = predict("photos/deep", "secret.png", "photos/a.png", "--json")
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == [
        "b.PNG", "公司.png", "secret.png", "a.png"
    ]  # fmt: skip
    assert json.loads(done.stdout.splitlines()[2])["answer"] == "SECRET", "who names a file may read it"
    (folder / "nothing").mkdir()
    for args in (("nowhere.png",), ("photos/nothing",), ()):
        assert predict(*args).exit_code != 0


def test_a_table_names_files_beside_it(predict, folder, tmp_path):
    content = base64.b64encode(b"inside").decode()
    cells = ["a.png", "deep/b.PNG", "../secret.png", str(tmp_path / "secret.png"), "out.png", "none.png", "", "http://a/b.png",
             f"data:image/png;base64,{content}"]  # fmt: skip
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["photo", "id"], *([cell, f"n{i}"] for i, cell in enumerate(cells))])
    done = predict("-i", "photos/table.csv", "--id", "id", "--keep", "-o", "out.csv")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [row["answer"] for row in rows] == ["A", "D", "", "", "", "", "", "", "INSIDE"]
    errors = [row["error"] for row in rows]
    assert all("leads out of the data's folder" in errors[i] for i in (2, 3, 4))
    assert "no such file" in errors[5] and "nothing in photo" in errors[6] and "no such file" in errors[7]
    assert rows[1]["photo"] == "deep/b.PNG" and rows[1]["id"] == "n1"
    assert predict("photos/table.csv", "--id", "id").stdout.splitlines()[1].startswith("n0,A")


def test_what_cannot_be_asked_is_said(predict, folder, tmp_path):
    two = small(tmp_path, Answering(told), photo="file", note="text")
    refused = predict("photos", model=two)
    assert refused.exit_code != 0 and "photo, note: files alone are not enough" in str(refused.exception)
    for args in (("a.png", "--text", "x"), ("a.png", "-i", "b.csv"), ("--stream", "-i", "b.csv")):
        assert predict(*args).exit_code == 2


def test_an_answer_is_printed_as_it_comes(predict, tmp_path):
    talking = small(tmp_path, Streaming(lambda row: iter(row["prompt"])), prompt="text")
    assert predict("--text", "abc", "--stream", model=talking).stdout == "abc\n"
    done = predict("--text", "ab", "--stream", "--json", model=talking)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"piece": "a"}, {"piece": "b"}, {"answer": "ab", "answered_by": "small"}
    ]  # fmt: skip
    plain = small(tmp_path, Answering(lambda row: row["prompt"]), prompt="text")
    assert predict("--text", "abc", "--stream", model=plain).stdout == "abc\n"
