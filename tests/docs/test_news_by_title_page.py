"""The page on news by title (news-by-title.md, news-by-title.zh.md): both show the example's file, and its request suggests articles of today."""

import csv
import json
import re

import pytest
import yaml

import caches
import rung
from rung.core.spec.product import parse_product
from support import ROOT

PAGES = [ROOT / "docs" / "howto" / name for name in ("news-by-title.md", "news-by-title.zh.md")]
EXAMPLE = ROOT / "examples" / "news_titles" / "product.yaml"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def test_both_pages_show_the_file():
    own = EXAMPLE.read_text(encoding="utf-8")
    for page in PAGES:
        assert blocks(page, "yaml") == [own]
    for language in ("bash", "json"):
        assert blocks(PAGES[0], language) == blocks(PAGES[1], language)
    assert parse_product(own).data.group == "reader"


@pytest.fixture(scope="module")
def built(tmp_path_factory, wordllama):
    """The example of 150 real readers; static word vectors are here."""
    base, data = tmp_path_factory.mktemp("news_titles"), caches.example("news_titles")
    fresh = list(csv.DictReader((data / "fresh.csv").read_text(encoding="utf-8").splitlines()))
    with (data / "reads.csv").open(encoding="utf-8", newline="") as source:
        header, *rows = csv.reader(source)
    assert 20 < len(fresh) < 100 and not {row["article"] for row in fresh} & {row[1] for row in rows}
    (base / "data").mkdir()
    (base / "data" / "articles.csv").write_bytes((data / "articles.csv").read_bytes())
    with (base / "data" / "reads.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *(row for row in rows if int(row[0]) <= 150)])
    spec = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    spec |= {"bar": {"metric": "catalogue_coverage", "at_least": 0.9}, "budget": {"effort": 1, "threads": 1}}
    spec["ladder"][1]["params"]["prior"] = 1.0
    (base / "product.yaml").write_text(yaml.safe_dump(spec))
    return rung.build(base / "product.yaml")


def test_the_request_of_the_page_suggests_articles_of_today(built):
    trial = next(trial for trial in built.report["trials"] if trial["rung"] == "content")
    assert trial["chosen"]["words"] == "static" and trial["chosen"]["new_items"]
    model = rung.load(built.folder / "trials" / "content" / "bundle")
    asked = json.loads(blocks(PAGES[0], "json")[0])["inputs"]
    (answer,) = model.respond([asked | {"k": 1000}])
    places = {item["item"]: place for place, item in enumerate(answer["items"])}
    assert places["today-1"] < places["today-2"] < 1000 and answer["unknown"] == []
    first = answer["items"][places["today-1"]]
    assert first["title"].startswith("Star fleet") and {event["item"] for event in first["because"]} <= {
        "50",
        "172",
        "181",
    }
    assert model.selftest() == []
