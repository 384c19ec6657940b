"""`rung predict -i 's3://bucket/rows/*.parquet' -o s3://bucket/answers/`, against a store on the loopback interface."""

import csv
import io
import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rung.core import object_store as store
from rung.core.errors import RungError
from rung.workflows import predict_stored as batch
from rung.workflows.predict_rows import OutputOptions
from support import run_cli

PLAIN = OutputOptions(scores=False, explain=False, keep=False, id_column=None, jsonl=False)
SHARDS, EACH = 3, 20


@pytest.fixture(scope="module")
def s3():
    """The address of a bucket of a store that runs here."""
    pytest.importorskip("moto.server")
    pytest.importorskip("flask_cors")
    s3fs = pytest.importorskip("s3fs")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "one")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "two")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        s3fs.S3FileSystem.clear_instance_cache()
        files = s3fs.S3FileSystem()
        files.mkdir("bucket")
        yield files
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def rows(s3, request, news_rows):
    """Shards of real rows in the store, one in a folder below, one with an empty text."""
    folder = f"bucket/{request.node.name}"
    for shard in range(SHARDS):
        texts = [text for text, _ in news_rows[shard * EACH : (shard + 1) * EACH]]
        if shard == 1:
            texts[3] = ""
        held = io.BytesIO()
        pq.write_table(pa.table({"text": texts}), held)
        s3.pipe_file(f"{folder}/rows/{'deep/' if shard == 2 else ''}part-{shard}.parquet", held.getvalue())
    return f"s3://{folder}"


def predict(built, rows, out, **more):
    return batch.predict_stored(built.bundle, f"{rows}/rows/**/*.parquet", out, PLAIN, **more)


def answers(s3, address):
    return list(csv.DictReader(io.StringIO(s3.cat_file(address).decode())))


def test_each_row_in_is_one_row_out(built, rows, s3):
    command = [
        "predict",
        str(built.bundle),
        "-i",
        f"{rows}/rows/**/*.parquet",
        "-o",
        f"{rows}/answers/",
        "--json",
    ]
    done = run_cli(*command)
    facts = json.loads(done.stdout)
    assert (facts["files"], facts["kept"], facts["rows"], facts["errors"]) == (SHARDS, 0, SHARDS * EACH, 1)
    found = sorted(s3.find(f"{rows}/answers"))
    assert [name.rpartition("/answers/")[2] for name in found if ".done" not in name] == [
        "deep/part-2.jsonl", "part-0.jsonl", "part-1.jsonl",
    ]  # fmt: skip
    lines = [json.loads(line) for line in s3.cat_file(f"{rows}/answers/part-1.jsonl").splitlines()]
    assert [line["row"] for line in lines] == list(range(1, EACH + 1)) and "error" in lines[3]
    again = json.loads(run_cli(*command).stdout)
    assert (again["kept"], again["rows"], again["errors"]) == (SHARDS, SHARDS * EACH, 1)


def test_only_what_is_missing_or_changed_is_made_again(built, rows, s3):
    out = f"{rows}/answers"
    first = predict(built, rows, out)
    assert (first.files, first.kept, first.rows) == (SHARDS, 0, SHARDS * EACH)
    s3.rm_file(f"{out}/part-0.csv")
    whole = s3.cat_file(f"{out}/part-1.csv")
    s3.pipe_file(f"{out}/part-1.csv", whole[: len(whole) // 2])
    again = predict(built, rows, out)
    assert (again.kept, again.rows) == (1, SHARDS * EACH)
    assert s3.cat_file(f"{out}/part-1.csv") == whole
    held = io.BytesIO()
    pq.write_table(pa.table({"text": ["the striker scored twice"] * 2}), held)
    s3.pipe_file(f"{rows}/rows/part-0.parquet", held.getvalue())
    changed = predict(built, rows, out)
    assert (changed.kept, changed.rows) == (SHARDS - 1, (SHARDS - 1) * EACH + 2)
    assert len(answers(s3, f"{out}/part-0.csv")) == 2


def test_worker_processes_give_the_same_answers(built, rows, s3):
    one, two = predict(built, rows, f"{rows}/one"), predict(built, rows, f"{rows}/two", workers=2)
    assert (one.rows, one.errors) == (two.rows, two.errors)
    for name in ("part-0.csv", "part-1.csv", "deep/part-2.csv"):
        assert s3.cat_file(f"{rows}/one/{name}") == s3.cat_file(f"{rows}/two/{name}")


@pytest.mark.slow
def test_ray_gives_the_same_answers(built, rows, s3):
    pytest.importorskip("ray")
    one, two = (
        predict(built, rows, f"{rows}/one"),
        predict(built, rows, f"{rows}/two", engine="ray", workers=2),
    )
    assert (one.rows, one.errors, two.failed) == (two.rows, two.errors, [])
    assert s3.cat_file(f"{rows}/one/part-1.csv") == s3.cat_file(f"{rows}/two/part-1.csv")


def test_one_side_may_lie_on_a_disk(built, rows, s3, tmp_path):
    out = tmp_path / "answers"
    assert predict(built, rows, str(out)).rows == SHARDS * EACH
    assert predict(built, rows, str(out)).kept == SHARDS
    assert (out / "deep" / "part-2.csv").is_file() and not list(out.rglob("*.tmp"))
    pq.write_table(pa.table({"text": ["shares rose"]}), tmp_path / "one.parquet")
    found = batch.predict_stored(built.bundle, str(tmp_path / "*.parquet"), f"{rows}/disk", PLAIN)
    assert found.rows == 1 and len(answers(s3, f"{rows}/disk/one.csv")) == 1


def test_a_file_that_cannot_be_read_is_named_and_the_others_go_on(built, rows, s3):
    s3.pipe_file(f"{rows}/rows/part-0.parquet", b"this is no parquet")
    found = predict(built, rows, f"{rows}/answers")
    assert found.rows == (SHARDS - 1) * EACH and len(found.failed) == 1
    name, why = found.failed[0]
    assert name == f"{rows}/rows/part-0.parquet" and "part-0.parquet" in why
    assert not s3.exists(f"{rows}/answers/part-0.csv")


def test_what_cannot_begin_is_said(built, rows, monkeypatch):
    with pytest.raises(RungError, match="there is no file here"):
        batch.predict_stored(built.bundle, f"{rows}/none/*.csv", f"{rows}/answers", PLAIN)
    with pytest.raises(RungError, match="would lie among the files"):
        predict(built, rows, f"{rows}/rows")
    with pytest.raises(RungError, match="the store does not answer as it should") as caught:
        batch.predict_stored(built.bundle, "s3://no-such-bucket/rows", f"{rows}/answers", PLAIN)
    assert "AWS_ENDPOINT_URL" in caught.value.fix and caught.value.where == "s3://no-such-bucket/rows"
    with pytest.raises(
        RungError, match="the store does not answer as it should: Protocol not known: nostore"
    ):
        store.matching("nostore://bucket/rows")

    def missing(address):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(RungError, match="needs the package 's3fs'") as caught:
        store.matching("s3://bucket/rows")
    assert ".[s3]" in caught.value.fix
