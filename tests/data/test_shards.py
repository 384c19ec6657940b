"""One table cut into 1, 7 or 100 files of three formats: the same tables, byte for byte, and the same split."""

import csv
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import caches
from rung.core.certificate_lock import CertificateLock
from rung.core.engine import Place
from rung.core.errors import DataError
from rung.core.spec.product import Product
from rung.data.prepare import hash_ranges
from rung.data.prepare.parquet import TableWriter, read_examples, read_places
from rung.data.prepare.prepare import prepare
from rung.data.prepare.restore import restore
from rung.data.sources.read import open_source
from rung.engines.local import LocalEngine
from rung.tasks.text_classification import TextClassification

ROWS, COLUMNS = 1200, ("text", "label", "day")


@pytest.fixture(scope="module")
def rows():
    """Real reviews, of which many stand there twice; some without a label, some with more than fits, one under both."""
    reviews = caches.chinese_reviews()
    reviews = random.Random(0).sample(reviews[: ROWS // 2] + reviews[-ROWS // 2 :], ROWS)
    found = [[text, label, f"2024-01-{i % 28 + 1:02d}"] for i, (text, label) in enumerate(reviews)]
    found[10][1] = ""
    found[500] = [found[499][0], "neg" if found[499][1] == "pos" else "pos", found[500][2]]
    found[700] = ["<p>" + found[699][0] + "</p>", *found[700][1:]]
    return found


def write(folder: Path, rows, shards: int, ending: str) -> None:
    folder.mkdir(parents=True)
    cuts = np.linspace(0, len(rows), shards + 1).astype(int)
    for number, (begin, end) in enumerate(zip(cuts, cuts[1:], strict=False)):
        path, part = folder / f"part-{number:05d}{ending}", rows[begin:end]
        if ending == ".parquet":
            pq.write_table(
                pa.table(dict(zip(COLUMNS, map(list, zip(*part, strict=True)), strict=True))), path
            )
        elif ending == ".jsonl":
            path.write_text("".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in part))
        else:
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([COLUMNS, *part])


def product(path: str, **more) -> Product:
    data = {"path": path, "input": "text", "target": "label", **more.pop("data", {})}
    bar = {"metric": "accuracy", "at_least": 0.9}
    return Product.model_validate({"task": "text_classification", "data": data, "bar": bar, **more})


def prepared(base: Path, wanted: Product, name: str = "data", engine=None):
    folder = base / name
    folder.mkdir(parents=True)
    lock = CertificateLock(base / f"{name}.lock")
    return prepare(wanted, base, TextClassification(), lock, folder, engine)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def facts(data) -> dict:
    """What is said of the data, but how its files are called."""
    kept = {k: v for k, v in data.facts.items() if k not in {"encoding", "dialects"}}
    kept["clean"] = [{k: v for k, v in step.items() if k != "examples"} for step in kept["clean"]]
    return kept


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_any_number_of_shards_gives_the_same_tables(tmp_path, rows, ending):
    made = {}
    for shards in (1, 7, 100):
        base = tmp_path / str(shards)
        write(base / "rows", rows, shards, ending)
        data = prepared(base, product("rows", clean=["html"]))
        made[shards] = (contents(data.folder), facts(data), read_examples(data, "train"))
    assert set(made[1][0]) == {"train.parquet", "certification.parquet"}
    assert made[1][0] == made[7][0] == made[100][0]
    assert made[1][1] == made[7][1] == made[100][1]
    reasons = made[1][1]["quarantined"]
    assert reasons["duplicate"] and reasons["missing_target"] and reasons["contradictory_labels"]
    # A row is found again where it stands, in whatever file.
    for shards, (_, _, train) in made.items():
        cuts = np.linspace(0, len(rows), shards + 1).astype(int)
        place = len(train) // 2
        first = cuts[int(train.files[place].split("-")[1][:5])]
        assert rows[first + train.rows[place] - 1][0] == train.inputs["text"][place]


def test_workers_change_nothing(tmp_path, rows):
    write(tmp_path / "rows", rows, 7, ".csv")
    # Over time, rows carry their time.
    wanted = product("rows/*.csv", data={"time": "day"})
    alone = prepared(tmp_path, wanted, "alone")
    engine = LocalEngine()
    with engine.running(Place(tmp_path / "engine", 2, 1)):
        together = prepared(tmp_path, wanted, "together", engine)
    assert contents(alone.folder) == contents(together.folder)
    assert alone.facts == together.facts
    assert (alone.folder / "quarantine.jsonl").read_bytes() == (
        together.folder / "quarantine.jsonl"
    ).read_bytes()


def test_what_is_left_out_is_found_again(tmp_path, rows):
    write(tmp_path / "rows", rows, 7, ".jsonl")
    wanted = product("rows")
    data = prepared(tmp_path, wanted)
    left = list(restore(wanted, tmp_path, TextClassification(), data.folder))
    assert len(left) == sum(data.facts["quarantined"].values())
    assert {row.state for row in left} == {"found"}
    kept = read_places(data, "train") | read_places(data, "certification")
    assert len(kept) + len(left) == len(rows)
    assert not kept & {(row.file, row.row) for row in left}


def test_ranges_of_hashes_decide_as_all_hashes_at_once(tmp_path, rows, monkeypatch):
    write(tmp_path / "rows", rows, 7, ".csv")
    whole = prepared(tmp_path, product("rows"), "whole")
    monkeypatch.setattr(hash_ranges.hash_ranges, "__defaults__", (50,))
    cut = prepared(tmp_path, product("rows"), "cut")
    assert contents(whole.folder) == contents(cut.folder)
    assert whole.facts == cut.facts


def test_hash_ranges_are_all_rows_once():
    hashes = np.random.default_rng(0).integers(0, 2**64, 1000, np.uint64) // np.uint64(3) * np.uint64(3)
    hashes[::7] = hashes[0]
    ranges = list(hash_ranges.hash_ranges(hashes, 40))
    assert len(ranges) == 25
    assert sorted(np.concatenate(ranges).tolist()) == list(range(1000))
    assert hash_ranges.distinct(hashes).tolist() == np.unique(hashes).tolist()
    chosen = np.arange(1000) % 3 == 0
    assert (hash_ranges.shared_with(hashes, chosen) == np.isin(hashes, hashes[chosen])).all()
    assert (hash_ranges.listed_in(hashes, hashes[:9]) == np.isin(hashes, hashes[:9])).all()


def test_row_groups_end_where_rows_say(tmp_path):
    texts = ["x" * (i % 900_000) for i in range(0, 40_000_000, 77_777)]
    for name, step in (("a", 1), ("b", 97)):
        with TableWriter(tmp_path / f"{name}.parquet", ["text"]) as table:
            for begin in range(0, len(texts), step):
                table.add_columns({"text": texts[begin : begin + step]})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert 3 < pq.read_metadata(tmp_path / "a.parquet").num_row_groups < 30
    assert pq.read_table(tmp_path / "a.parquet")["text"].to_pylist() == texts


def test_a_folder_of_shards_is_a_table(tmp_path, rows):
    write(tmp_path / "rows", rows[:20], 2, ".parquet")
    for beside in ("_SUCCESS", ".part-00000.parquet.crc", "_metadata"):
        (tmp_path / "rows" / beside).write_bytes(b"")
    assert [table.name for table in open_source("rows", base=tmp_path).tables] == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    (tmp_path / "rows" / "more.csv").write_text("text,label\na,b\n")
    with pytest.raises(DataError):
        open_source("rows", base=tmp_path)


def test_a_broken_shard_is_named(tmp_path, rows):
    write(tmp_path / "rows", rows, 3, ".csv")
    path = tmp_path / "rows" / "part-00001.csv"
    path.write_text(path.read_text() + 'a,"never closed,\n')
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, product("rows"))
    assert caught.value.where == "part-00001.csv"
