"""The pages climb-to-a-network.md and climb-to-a-network.zh.md: their products are the files of the example, and the first one stops early."""

import re

import pytest

from rung.core import registry
from rung.core.params import make_params
from rung.core.spec.product import load_product
from support import ROOT, run_cli

PAGES = [ROOT / "docs" / "howto" / name for name in ("climb-to-a-network.md", "climb-to-a-network.zh.md")]
EXAMPLE = ROOT / "examples" / "learn"
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def test_both_pages_show_the_same():
    for language in ("bash", "yaml", "text"):
        assert blocks(PAGES[0], language) == blocks(PAGES[1], language) != []


@pytest.mark.parametrize("place,name", list(enumerate(["stops.yaml", "climbs.yaml"])))
def test_the_products_shown_are_the_files(place, name):
    written = (EXAMPLE / name).read_text(encoding="utf-8")
    assert blocks(PAGES[0], "yaml")[place] == written.split("\n", 1)[1]
    product, _ = load_product(EXAMPLE / name)
    for spec in product.ladder:
        assert make_params(registry.model(spec.model).Params, spec.params) is not None
    assert product.ladder[-1].model == "finetuned_encoder"


def test_figures_are_those_of_the_benchmark():
    measured = (ROOT / "benchmarks" / "results" / "learning.md").read_text(encoding="utf-8")
    reviews = measured[measured.index("## Rotten Tomatoes") :].split("\n## ")[0]
    for page in PAGES:
        for rung, accuracy in re.findall(
            r"^\| `(\w+)` \| (0\.\d+) \|", page.read_text(encoding="utf-8"), re.M
        ):
            (found,) = re.findall(rf"^\| {rung} \| (0\.\d+) \|", reviews, re.M)
            assert round(float(found), 3) == float(accuracy), rung


@pytest.mark.slow
def test_the_ladder_stops_at_word_counts(tmp_path, news_folder, minilm):
    spec = (EXAMPLE / "stops.yaml").read_text(encoding="utf-8").replace("../news/data", str(news_folder))
    (tmp_path / "stops.yaml").write_text(spec, encoding="utf-8")
    done = run_cli("build", tmp_path / "stops.yaml", "--lang", "en")
    assert done.returncode == 0, done.stderr
    assert "finetuned_encoder: skipped, a cheaper rung cleared the bar" in done.stdout + done.stderr
