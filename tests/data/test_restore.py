"""Rows that were left out come back with their text, from the source; a run holds none of it."""

import csv
import json

import pytest

import rung
from rung.core.errors import RunError
from rung.core.registry import task
from rung.core.spec.product import load_product
from rung.data.prepare.restore import restore
from support import run_cli, write_csv, write_spec


@pytest.fixture
def left_out(tmp_path, news_rows):
    """A prepared product with rows left out for six reasons."""
    rows = [(text[:120], label) for text, label in news_rows[::6]]
    extra = [
        ("", "sports"), ("没有标签的一行", ""), (rows[0][0].upper(), rows[0][1]), ("<p>same  story</p>", "a"), ("same story", "b"),
        ("我的手机是13800138000", "sports"),
    ]  # fmt: skip
    data = write_csv(tmp_path / "news.csv", ["text", "label"], [*rows, *extra])
    with data.open("a", encoding="utf-8") as file:
        file.write("too,many,cells\n")
    write_spec(tmp_path, data.name, bar=0.2, extra="privacy: {drop: [phone]}\ncertify: {fraction: 0}\n")
    rung.build(tmp_path / "product.yaml", run=tmp_path / "runs" / "desk-001")
    return tmp_path, len(rows)


def test_rows_come_back_with_their_text(left_out):
    folder, n = left_out
    product, base = load_product(folder / "product.yaml")
    found = list(restore(product, base, task(product.task), folder / "runs/desk-001/data"))
    assert [(r.row - n, r.reason, r.state) for r in found] == [
        (1, "empty_input", "found"), (2, "missing_target", "found"), (3, "duplicate", "found"), (4, "contradictory_labels", "found"),
        (5, "contradictory_labels", "found"), (6, "personal_data", "found"), (7, "malformed", "unreadable"),
    ]  # fmt: skip
    assert (
        found[3].values == {"text": "<p>same  story</p>", "label": "a"}
        and found[1].values["text"] == "没有标签的一行"
    )
    some = list(restore(product, base, task(product.task), folder / "runs/desk-001/data", ["duplicate"]))
    assert [r.row - n for r in some] == [3]
    with pytest.raises(RunError) as caught:
        list(restore(product, base, task(product.task), folder / "runs/desk-001/data", ["typo"]))
    assert "no row was left out for 'typo'" in str(
        caught.value
    ) and "contradictory_labels, duplicate," in str(caught.value)
    with pytest.raises(RunError, match="no build has prepared data here"):
        list(restore(product, base, task(product.task), folder))


def test_a_row_that_changed_is_not_passed_off_as_the_one_left_out(left_out):
    folder, n = left_out
    text = (folder / "news.csv").read_text(encoding="utf-8")
    (folder / "news.csv").write_text(
        text.replace("没有标签的一行", "另一行").replace("too,many,cells\n", ""), encoding="utf-8"
    )
    product, base = load_product(folder / "product.yaml")
    found = {r.row - n: r for r in restore(product, base, task(product.task), folder / "runs/desk-001/data")}
    assert found[2].state == "changed" and found[2].values == {}
    assert found[7].state == "gone" and found[3].state == "found"


def test_the_command(left_out):
    folder, n = left_out
    done = run_cli("data", "restore", "-o", "all.csv", cwd=folder)
    assert done.returncode == 0 and done.stderr == "7 rows were excluded; 6 found in the source.\n", (
        done.stderr
    )
    rows = list(csv.DictReader((folder / "all.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["state"] for row in rows].count("found") == 6 and rows[5]["text"] == "我的手机是13800138000"
    assert rows[5]["reason"] == "personal_data" and "13800138000" not in rows[5]["detail"]
    bare = run_cli(
        "data", "restore", "product.yaml", "--reason", "missing_target", "--bare", "--lang", "zh", cwd=folder
    )
    assert (
        bare.stdout == "text,label\n没有标签的一行,\n"
        and bare.stderr == "共排除 1 行，其中 1 行已从数据源找回。\n"
    )
    shown = run_cli("data", "restore", "--json", "--reason", "duplicate", cwd=folder)
    (row,) = json.loads(shown.stdout)
    assert row["row"] == n + 3 and row["state"] == "found" and row["values"]["label"]
    again = run_cli("data", "restore", "-o", "all.csv", cwd=folder)
    assert again.returncode == 2 and "exists already" in again.stderr
    nowhere = run_cli("data", "restore", folder / "product.yaml", "--run", folder / "x", cwd=folder)
    assert nowhere.returncode == 2 and "rung build product.yaml" in nowhere.stderr
