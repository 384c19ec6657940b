"""The pages on scaling out are followed: a build with workers, a batch of files; Ray's lines as commands that parse."""

import csv
import inspect
import json
import re
import shlex

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import rung
from rung.cli.build import command as build_command
from rung.cli.predict import command as predict_command
from rung.core.spec.product import parse_product
from rung.engines.choose import open_engine
from support import ROOT, run_cli, write_csv

PAGES = [ROOT / "docs" / "howto" / name for name in ("scale-out.md", "scale-out.zh.md")]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def test_both_pages_show_the_same():
    for language in ("bash", "yaml", "python"):
        assert blocks(PAGES[0], language) == blocks(PAGES[1], language) != []


def test_the_page_is_followed(news_rows, tmp_path):
    spec, _ = blocks(PAGES[0], "yaml")
    product = yaml.safe_load(spec)
    assert parse_product(spec).budget.workers == 2
    product |= {"ladder": ["majority", "tfidf_linear"], "bar": {**product["bar"], "at_least": 0.5}}
    (tmp_path / "product.yaml").write_text(yaml.safe_dump(product))
    write_csv(tmp_path / "tickets.csv", ["text", "queue"], news_rows)
    (tmp_path / "rows").mkdir()
    for part in range(3):
        texts = [text for text, _ in news_rows[part * 10 : part * 10 + 10]]
        pq.write_table(pa.table({"text": texts}), tmp_path / "rows" / f"{part}.parquet")
    lines = [line for block in blocks(PAGES[0], "bash") for line in block.splitlines()]
    build, install, ray, predict, install_s3, stored = (shlex.split(line) for line in lines)
    assert install[-1] == ".[ray]" and build_command.make_context("build", ray[2:])
    assert install_s3[-1] == ".[s3]" and predict_command.make_context("predict", stored[2:])
    for command in (build, predict):
        done = run_cli(*command[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    answers = sorted((tmp_path / "answers").glob("*.csv"))
    assert [len(list(csv.DictReader(path.read_text().splitlines()))) for path in answers] == [10, 10, 10]


def test_a_folder_of_shards_is_checked(news_rows, tmp_path):
    _, sharded = blocks(PAGES[0], "yaml")
    (tmp_path / "product.yaml").write_text(sharded)
    (tmp_path / "tickets").mkdir()
    for part in range(3):
        write_csv(tmp_path / "tickets" / f"{part}.csv", ["text", "queue"], news_rows[part::3])
    done = run_cli("data", "check", "--workers", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["rows"] == len(news_rows)


def test_what_the_page_says_of_python_is_accepted(monkeypatch):
    asked = []
    signature = inspect.signature(rung.build)
    monkeypatch.setattr(rung, "build", lambda *given, **named: asked.append(signature.bind(*given, **named)))
    (code,) = blocks(PAGES[0], "python")
    exec(compile(code, PAGES[0].name, "exec"), {})
    assert asked[0].arguments["engine"] == "ray"
    assert hasattr(open_engine("local"), "map")
