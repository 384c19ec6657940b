"""Rows out, labels in: through the command line, as a person with a spreadsheet would."""

import csv
import json

import pytest

from labelling_world import session_in, truth_of, write_product
from rung.annotation.csv_io import export_rows, import_labels
from rung.core.errors import DataError
from support import run_cli, write_csv


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path, label=lambda row: truth_of(row["text"])):
    rows = read(path)
    write_csv(path, list(rows[0]), [[*(label(r) if k == "label" else v for k, v in r.items())] for r in rows])


def test_out_and_in_and_build(tmp_path):
    write_product(tmp_path)
    out = run_cli("label", "--export", "rows1.csv", "--count", 250, "--lang", "en", cwd=tmp_path)
    assert out.returncode == 0 and "250 rows to label in rows1.csv." in out.stdout
    assert list(read(tmp_path / "rows1.csv")[0]) == ["file", "row", "hash", "label", "text"]
    again = run_cli("label", "--export", "rows1.csv", cwd=tmp_path)
    assert again.returncode == 2 and "the file exists already" in again.stderr
    fill(tmp_path / "rows1.csv")
    back = run_cli("label", "--import", "rows1.csv", "--by", "Ana", "--lang", "zh", cwd=tmp_path)
    assert back.returncode == 0 and "新增或修改标签 250 个" in back.stdout, back.stderr
    status = json.loads(run_cli("label", "--status", "--json", cwd=tmp_path).stdout)
    assert status["labelled"] == 250 and status["audit"]["whole"] and status["curve"][-1]["score"] > 0.9
    built = run_cli("build", "--json", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert json.loads(built.stdout)["report"]["cleared"]


def test_blank_unclear_same_and_changed(tmp_path):
    with session_in(tmp_path) as session:
        path = tmp_path / "r.csv"
        export_rows(session.next_batch("Ana", 4), path)
        labels = iter(["ships", "?", "", "gold"])
        fill(path, lambda row: next(labels))
        assert import_labels(session, path, "Ana").as_dict() == {
            "labelled": 2,
            "cannot": 1,
            "same": 0,
            "blank": 1,
        }
        assert import_labels(session, path, "Ana").as_dict() == {
            "labelled": 0,
            "cannot": 0,
            "same": 3,
            "blank": 1,
        }
        progress = session.progress("Ana")
        assert (progress.labelled, progress.unclear, progress.mine) == (2, 1, 3)


def test_all_or_nothing_with_every_line_named(tmp_path):
    with session_in(tmp_path) as session:
        path = tmp_path / "r.csv"
        export_rows(session.next_batch("Ana", 3), path)
        labels = iter(["shipz", "gold", "gold"])
        fill(path, lambda row: next(labels))
        text = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([*text, "rows.csv,1,0123456789abcdef,gold,x"]), encoding="utf-8")
        with pytest.raises(DataError) as caught:
            import_labels(session, path, "Ana")
        assert str(caught.value) == (
            "r.csv: nothing was imported:\n"
            "  line 2: 'shipz' is not one of the labels. Did you mean 'ships'?\n"
            "  line 5: the row with the hash '0123456789abcdef' is not in the data\n"
            "Fix these lines and import again."
        )
        assert session.progress().labelled == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n", "there is no column 'hash'"),
        (b"hash,label\n\xff\xfe,x\n", "it is not UTF-8 text"),
        (None, "it cannot be read: no such file or directory"),
    ],
)
def test_files_that_are_none(tmp_path, content, words):
    with session_in(tmp_path) as session:
        if content is not None:
            (tmp_path / "x.csv").write_bytes(content)
        with pytest.raises(DataError, match=words):
            import_labels(session, tmp_path / "x.csv", "Ana")


def test_a_cell_is_never_a_formula(tmp_path):
    write_product(tmp_path)
    write_csv(tmp_path / "rows.csv", ["text"], [(f"=cmd|{i}!A1",) for i in range(100)])
    with session_in(tmp_path) as session:
        export_rows(session.next_batch("Ana", 5), tmp_path / "r.csv")
        assert all(row["text"].startswith("'=") for row in read(tmp_path / "r.csv"))
        fill(tmp_path / "r.csv", lambda row: "gold")
        assert import_labels(session, tmp_path / "r.csv", "Ana").labelled == 5
