"""The page on clicks (ads.md, ads.zh.md): both show the example's file; a product of its columns answers the block, with the position fixed."""

import csv
import re
import shutil

import pytest
import yaml

import caches
import rung
from rung.core.spec.product import parse_product
from support import ROOT

PAGES = [ROOT / "docs" / "howto" / name for name in ("ads.md", "ads.zh.md")]
EXAMPLE = ROOT / "examples" / "ads" / "product.yaml"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def test_both_pages_show_the_file():
    own = EXAMPLE.read_text(encoding="utf-8")
    for page in PAGES:
        assert blocks(page, "yaml") == [own]
    for language in ("bash", "python"):
        assert blocks(PAGES[0], language) == blocks(PAGES[1], language)
    assert parse_product(own).data.group == "user"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A scorecard of 60 real people."""
    base = tmp_path_factory.mktemp("ads")
    with (caches.example("ads") / "impressions.csv").open(encoding="utf-8", newline="") as source:
        header, *rows = csv.reader(source)
    assert {len(row) for row in rows} == {len(header)} and {row[-1] for row in rows} == {"yes", "no"}
    (base / "data").mkdir()
    with (base / "data" / "impressions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *(row for row in rows if int(row[0]) <= 60)])
    spec = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    spec |= {
        "bar": {"metric": "roc_auc", "at_least": 0.5},
        "budget": {"effort": 0, "threads": 1},
        "ladder": ["linear_table"],
    }
    (base / "product.yaml").write_text(yaml.safe_dump(spec))
    return rung.build(base / "product.yaml")


def test_the_block_is_answered(built, tmp_path, monkeypatch):
    shutil.copytree(built.bundle, tmp_path / "bundle")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(blocks(PAGES[0], "python")[0], found)
    assert len(found["chances"]) == 3 and all(0.0 < chance < 1.0 for chance in found["chances"])
    assert found["best"] in {offer["title"] for offer in found["offers"]}
    assert "user" not in rung.load(tmp_path / "bundle").schema.input_names


def test_a_position_moves_every_offer_and_fixing_it_leaves_their_order(built):
    """The scorecard adds what a position is worth, so that the order of offers is that of their own scores."""
    model = rung.load(built.bundle)
    person = {"age": 24, "sex": "M", "occupation": "technician", "weekday": "Friday", "hour": 20}
    offers = [{"title": t, "year": y, "genre": g, "genres": g} for t, y, g in [("Star Wars", 1977, "Action"), ("Striptease", 1996, "Comedy"), ("New", 1998, "Drama")]]  # fmt: skip
    chances = {}
    for position in (1, 150):
        rows = [person | offer | {"position": position} for offer in offers]
        chances[position] = [answer["score:yes"] for answer in model.respond(rows, scores=True)]
    order = [sorted(range(3), key=lambda i: found[i]) for found in chances.values()]
    assert order[0] == order[1] and chances[1] != chances[150]
