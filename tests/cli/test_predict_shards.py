"""`rung predict -i 'rows/*.parquet' -o answers/`: one row out for each row in, and only what is missing is made again."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rung.core.errors import RungError
from rung.core.files import read_json
from rung.workflows import predict_shards as batch
from rung.workflows.predict_rows import OutputOptions
from support import run_cli, write_csv

PLAIN = OutputOptions(scores=False, explain=False, keep=False, id_column=None, jsonl=False)
SHARDS, EACH = 4, 25


@pytest.fixture
def rows(tmp_path, news_rows):
    """Shards of real rows, one in a folder below, one with an empty text."""
    folder = tmp_path / "rows"
    for shard in range(SHARDS):
        texts = [text for text, _ in news_rows[shard * EACH : (shard + 1) * EACH]]
        if shard == 1:
            texts[3] = ""
        target = folder / ("deep" if shard == 3 else ".") / f"part-{shard}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"text": texts}), target)
    return folder


def answers(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def predict(built, rows, out, **more):
    return batch.predict_shards(built.bundle, str(rows / "**" / "*.parquet"), out, PLAIN, **more)


def test_each_row_in_is_one_row_out(built, rows, tmp_path, capsys):
    out = tmp_path / "answers"
    pattern = str(rows / "**" / "*.parquet")
    done = run_cli("predict", str(built.bundle), "-i", pattern, "-o", f"{out}/", "--json")
    facts = json.loads(done.stdout)
    assert (
        facts["files"] == SHARDS
        and facts["rows"] == SHARDS * EACH
        and facts["errors"] == 1
        and not facts["failed"]
    )
    files = sorted(out.rglob("*.jsonl"))
    assert [str(file.relative_to(out)) for file in files] == [
        "deep/part-3.jsonl", "part-0.jsonl", "part-1.jsonl", "part-2.jsonl",
    ]  # fmt: skip
    lines = [json.loads(line) for line in files[2].read_text().splitlines()]
    assert [line["row"] for line in lines] == list(range(1, EACH + 1)) and "error" in lines[3]


def test_answers_are_those_of_one_file_and_workers_give_the_same(built, rows, tmp_path):
    one = predict(built, rows, tmp_path / "one")
    two = predict(built, rows, tmp_path / "two", workers=2)
    for name in ("part-0.csv", "part-1.csv", "deep/part-3.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (one.rows, one.errors) == (two.rows, two.errors) and one.rows == SHARDS * EACH
    whole = tmp_path / "whole.csv"
    assert (
        run_cli("predict", str(built.bundle), "-i", str(rows / "part-0.parquet"), "-o", str(whole)).returncode
        == 0
    )
    assert whole.read_bytes() == (tmp_path / "one" / "part-0.csv").read_bytes()
    assert not (tmp_path / "two" / ".engine").exists()


def test_only_what_is_missing_or_changed_is_predicted_again(built, rows, tmp_path, monkeypatch):
    out, made = tmp_path / "answers", []
    real = batch.predict_rows

    def noted(model, asked, *rest):
        made.append(asked.source.name)
        return real(model, asked, *rest)

    monkeypatch.setattr(batch, "predict_rows", noted)
    predict(built, rows, out)
    assert len(made) == SHARDS
    (out / "part-0.csv").unlink()  # Lost.
    (out / "part-1.csv").write_text("half")  # Cut off.
    pq.write_table(
        pa.table({"text": ["A goal in the last minute"]}), rows / "part-2.parquet"
    )  # Another content.
    made.clear()
    found = predict(built, rows, out)
    assert sorted(made) == ["part-0.parquet", "part-1.parquet", "part-2.parquet"] and found.kept == 1
    assert found.rows == 3 * EACH + 1 and len(answers(out / "part-2.csv")) == 1
    made.clear()
    assert predict(built, rows, out).kept == SHARDS and not made
    batch.predict_shards(
        built.bundle, str(rows / "*.parquet"), out, OutputOptions(True, False, False, None, False)
    )
    assert made, "other columns are other answers"


def test_a_worker_that_is_killed_leaves_no_half_file(built, rows, tmp_path, monkeypatch):
    out = tmp_path / "answers"
    jobs = list(batch.shard_jobs(built.bundle, str(rows / "*.parquet"), out, PLAIN, None))

    def cut_off(model, asked, file, options):
        file.write("row,label")
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "predict_rows", cut_off)
    with pytest.raises(KeyboardInterrupt):
        batch.predict_shard(jobs[0])
    assert not list(out.glob("*part*")) and batch.whole_answers(jobs[0]) is None


def test_a_file_that_cannot_be_read_is_said_and_the_others_go_on(built, rows, tmp_path):
    (rows / "part-0.parquet").write_bytes(b"PAR1 is not all there is to it")
    write_csv(rows / "deep" / "other.parquet.csv", ["words"], [["no such column"]])
    out = tmp_path / "answers"
    done = run_cli(
        "predict", str(built.bundle), "-i", str(rows / "**" / "*"), "-o", str(out), "--workers", "1"
    )
    assert done.returncode == 2 and (done.stdout + done.stderr).count("Not predicted") == 2
    assert "part-0.parquet" in (done.stdout + done.stderr) and "text" in (done.stdout + done.stderr)
    assert len(answers(out / "part-2.csv")) == EACH
    markers = [read_json(path) for path in (out / ".done").glob("*.json")]
    assert len(markers) == SHARDS - 1 and all(marker["rows"] == EACH for marker in markers)


def test_files_of_one_name_get_answers_of_their_own(built, tmp_path):
    (tmp_path / "in").mkdir()
    write_csv(tmp_path / "in" / "a.csv", ["text"], [["a match"]])
    pq.write_table(pa.table({"text": ["a bank", "a film"]}), tmp_path / "in" / "a.parquet")
    found = batch.predict_shards(built.bundle, str(tmp_path / "in"), tmp_path / "out", PLAIN)
    assert found.rows == 3 and sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        ".done",
        "a.csv",
        "a.parquet.csv",
    ]


def test_what_cannot_be_begun_is_said(built, rows, tmp_path):
    with pytest.raises(RungError, match="would lie among the files"):
        predict(built, rows, rows)
    with pytest.raises(RungError, match="no file matches"):
        batch.predict_shards(built.bundle, str(rows / "*.orc"), tmp_path / "out", PLAIN)
    with pytest.raises(RungError, match="no engine called 'spark'"):
        predict(built, rows, tmp_path / "out", engine="spark")
    done = run_cli("predict", str(built.bundle), "--text", "a goal", "--workers", "2")
    assert done.returncode == 2 and "-o FOLDER" in (done.stdout + done.stderr)
