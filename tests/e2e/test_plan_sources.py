"""`rung plan` takes every kind of source, keeps to what it is told, and what it writes builds."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rung
from rung.core.errors import RungError
from rung.core.spec.product import load_product
from support import run_cli, write_csv

HEADER = ["ticket", "customer_id", "opened", "body", "queue", "paid"]


@pytest.fixture(scope="module")
def tickets(news_rows: list[tuple[str, str]]) -> list[list[str]]:
    return [
        [str(i), f"C{i % 40:03d}", f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}", text, label, "yn"[i % 2]]
        for i, (text, label) in enumerate(news_rows[::3])
    ]


def sources(base: Path, rows: list[list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """Write the same rows in every way; return name -> (DATA, options)."""
    half = len(rows) // 2
    write_csv(base / "a.csv", HEADER, rows)
    write_csv(base / "part-1.csv", HEADER, rows[:half])
    write_csv(base / "part-2.csv", HEADER, rows[half:])
    (base / "a.csv.gz").write_bytes(gzip.compress((base / "a.csv").read_bytes()))
    pq.write_table(
        pa.table(dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True))), base / "a.parquet"
    )
    book = openpyxl.Workbook()
    book.active.append(["nothing"])
    sheet = book.create_sheet("Tickets 2024")
    for row in [HEADER, *rows]:
        sheet.append(row)
    book.save(base / "a.xlsx")
    connection = sqlite3.connect(base / "a.db")
    connection.execute(f"create table tickets ({', '.join(HEADER)})")
    connection.executemany("insert into tickets values (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return {
        "parquet": (["a.parquet"], []),
        "excel": (["a.xlsx"], ["--sheet", "Tickets 2024"]),
        "sql": (["sqlite:///a.db"], ["--query", "select *\nfrom tickets -- all"]),
        "packed": (["a.csv.gz"], []),
        "pattern": (["part-*.csv"], []),
        "list": (["part-1.csv", "part-2.csv"], []),
    }


@pytest.mark.parametrize("kind", ["parquet", "excel", "sql", "packed", "pattern", "list"])
def test_what_plan_writes_builds(kind: str, tickets: list[list[str]], tmp_path: Path) -> None:
    """Written into another folder, so that paths must be moved there."""
    data, options = sources(tmp_path, tickets)[kind]
    (tmp_path / "products").mkdir()
    done = run_cli("plan", *data, *options, "-o", "products/desk.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    spec = tmp_path / "products" / "desk.yaml"
    product, _ = load_product(spec)
    assert (product.data.input, product.data.target) == (("body",), "queue")
    assert "# group: customer_id   # it is called like an id, and its 40 values stand in" in spec.read_text()
    assert "# time: opened   # it holds dates, such as '2024-" in spec.read_text()
    text = (
        spec.read_text()
        .replace("effort: 2", "effort: 0\n  threads: 1")
        .replace("at_least: 0.9 ", "at_least: 0.4 ")
    )
    spec.write_text(text + "ladder: [majority, tfidf_linear]\n")
    built = rung.build(spec, run=tmp_path / "run")
    assert built.report["data"]["rows"] == len(tickets) and built.report["winner"] == "tfidf_linear"


def test_what_the_user_says_wins(tickets: list[list[str]], tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", HEADER, tickets)
    options = [
        "--target",
        "paid",
        "--input",
        "queue",
        "--input",
        "body",
        "--group",
        "customer_id",
        "--time",
        "opened",
    ]
    done = run_cli("plan", "a.csv", *options, "--task", "text_classification", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["guesses"][0]["reasons"] == ["as you chose", "as you chose"]
    product, _ = load_product(tmp_path / "product.yaml")
    data = product.data
    assert (data.input, data.target, data.group, data.time) == (
        ("queue", "body"),
        "paid",
        "customer_id",
        "opened",
    )
    only = rung.plan(tmp_path / "a.csv", data={"target": "body", "input": "queue"})
    assert (only.guess.inputs, only.guess.target) == (("queue",), "body")
    assert rung.plan(tmp_path / "a.csv", data={"target": "paid"}).guess.inputs == ("body",)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": {"target": "que"}}, "there is no column 'que' (data.target)\nDid you mean 'queue'?"),
        ({"data": {"group": "customer"}}, "there is no column 'customer' (data.group)\nDid you mean 'customer_id'?"),
        ({"data": {"target": "body", "input": ["body"]}}, "data.target: the column 'body' is also an input."),
        ({"data": {"sheet": 0}}, "data.sheet: must be the name of a sheet, or its number from 1."),
        ({"data": {"colour": "red"}}, "data.colour: is not a valid key."),
        ({"task": "text_clasification"}, "Did you mean 'text_classification'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_words(
    given: dict[str, Any], words: str, tickets: list[list[str]], tmp_path: Path
) -> None:
    write_csv(tmp_path / "a.csv", HEADER, tickets[:50])
    with pytest.raises(RungError) as caught:
        rung.plan(tmp_path / "a.csv", **given)
    assert words in str(caught.value)


def test_a_password_is_not_written(tickets: list[list[str]], tmp_path: Path) -> None:
    """SQLite has no passwords, but an address may carry a key all the same."""
    sources(tmp_path, tickets)
    address = "sqlite:///a.db?key=geheim"
    done = run_cli("plan", address, "--query", "select * from tickets", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "geheim" not in done.stdout + done.stderr + (tmp_path / "product.yaml").read_text()
    assert 'path: "sqlite:///a.db?key=${SOURCE_PASSWORD}"' in (tmp_path / "product.yaml").read_text()
    assert "export SOURCE_PASSWORD" in done.stderr


def test_no_file_of_a_run_holds_the_password(
    tickets: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources(tmp_path, tickets)
    monkeypatch.setenv("DESK_KEY", "geheim-1")
    (tmp_path / "product.yaml").write_text(
        'name: desk\ntask: text_classification\nbudget: {effort: 0, threads: 1}\nladder: [majority]\n'
        'data: {path: "sqlite:///a.db?key=${DESK_KEY}&token=geheim-2", query: "select * from tickets", input: body, '
        "target: queue}\nbar: {metric: accuracy, at_least: 0.1}\n"
    )  # fmt: skip
    rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
    written = [p for p in [*(tmp_path / "run").rglob("*"), tmp_path / "certificate.lock"] if p.is_file()]
    assert len(written) > 10
    assert not [path for path in written if b"geheim" in path.read_bytes()]


def test_predict_reads_what_build_reads(built: Any, news_rows: list[tuple[str, str]], tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [text for text, _ in news_rows[:5]]}), tmp_path / "new.parquet")
    done = run_cli("predict", built.bundle, "-i", tmp_path / "new.parquet", "-o", tmp_path / "out.csv")
    assert done.returncode == 0 and "5 rows predicted, 0 with an error" in done.stderr
