"""label-your-data.md is followed literally in both languages, on real texts whose labels are hidden and then given."""

import csv
import random
import re
import shlex

import pytest

import caches
from rung.cleaning.pipeline import CleaningPipeline
from rung.core.spec.cleaning import PrivacySpec
from support import ROOT, run_cli, write_csv

HOWTO = ROOT / "docs" / "howto"
DEFAULT = CleaningPipeline.from_spec(None, PrivacySpec())
FAST = "budget: {effort: 0, threads: 1}\nladder: [majority, tfidf_linear]\n"


def reviews():
    return random.Random(0).sample(sorted(set(caches.chinese_reviews())), 900)


@pytest.mark.parametrize("page", ["label-your-data.md", "label-your-data.zh.md"])
def test_it_is_followed(page, news_rows, tmp_path):
    text = (HOWTO / page).read_text(encoding="utf-8")
    (spec,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    (tmp_path / "product.yaml").write_text(spec + FAST, encoding="utf-8")
    name = re.search(r"path: (\S+),", spec)[1]
    truth = dict(news_rows if name == "articles.csv" else reviews())
    write_csv(tmp_path / name, ["text"], [(row,) for row in truth])
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.S) for line in block.splitlines()]
    assert lines[0] == "rung label product.yaml" and lines[-1] == "rung build product.yaml"
    done = run_cli("build", "product.yaml", cwd=tmp_path)
    assert done.returncode == 2 and "`rung label product.yaml` asks for them." in done.stderr
    for line in lines[1:]:
        done = run_cli(*shlex.split(line)[1:], "--lang", "en", cwd=tmp_path)
        assert done.returncode in ({0, 3} if line.startswith("rung build") else {0}), done.stderr
        if "--export" in line:
            fill(tmp_path / "rows.csv", truth)
        if "--import" in line:
            assert "300 labels new or changed" in done.stdout
        if "--status" in line:
            assert re.search(r"Labelled rows: 300; of the \d+ random rows", done.stdout)
    assert (tmp_path / "labels.sqlite").is_file() and (tmp_path / "certificate.lock").is_file()


def fill(path, truth):
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    # People are shown texts as a build reads them.
    mended = {DEFAULT.clean_text(text): label for text, label in truth.items()}
    known = {**mended, **{f"'{text}": label for text, label in mended.items()}}
    write_csv(
        path, list(rows[0]), [[known[r["text"]] if k == "label" else v for k, v in r.items()] for r in rows]
    )
