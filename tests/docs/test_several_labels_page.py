"""The page on several labels (several-labels.md, several-labels.zh.md): its product is built and answers, both languages agree."""

import re
import shlex

import pytest
import yaml

from rung.core import registry
from rung.core.params import make_params
from rung.core.spec.product import parse_product
from support import ROOT, run_cli

PAGES = [ROOT / "docs" / "howto" / name for name in ("several-labels.md", "several-labels.zh.md")]
EXAMPLE, STAMPS = ROOT / "examples" / "packages", ROOT / "examples" / "stamps"
BLOCK = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.S)


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def test_the_page_shows_the_example_in_both_languages():
    for language in ("yaml", "bash", "json"):
        assert blocks(PAGES[0], language) == blocks(PAGES[1], language)
    shown = blocks(PAGES[0], "yaml")[0]
    assert (EXAMPLE / "product.yaml").read_text(encoding="utf-8").split("\n", 1)[1] == shown
    *_, table, images = blocks(PAGES[0], "yaml")
    for file, shown in (
        (ROOT / "examples" / "genres" / "product.yaml", table),
        (STAMPS / "words.yaml", images),
    ):
        assert file.read_text(encoding="utf-8").split("\n", 1)[1] == shown


def test_the_ladder_of_the_page_parses():
    first, ladder, *_ = (yaml.safe_load(block) for block in blocks(PAGES[0], "yaml"))
    for spec in parse_product(yaml.safe_dump(first | ladder)).ladder or ():
        family = registry.model(spec.model)
        assert make_params(family.Params, spec.params) is not None and "text_multilabel" in family.TASKS


def test_every_metric_of_the_page_is_one():
    task = registry.task("text_multilabel")
    schema = task.schema(("text",), ['["film", "music"]'])
    page = PAGES[0].read_text(encoding="utf-8")
    for name in re.findall(r"`([a-z0-9_]+(?::<label>)?)`[^|]*(?=\|[^|]*\| exact \|)", page):
        assert task.metric(name.replace("<label>", "film"), schema)
    for metric in task.metrics(schema):
        assert f"`{metric.name}`" in page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["words.yaml", "words.zh.yaml"])
def test_the_words_of_stamps_clear_their_bar(name, tmp_path, example_data, efficientnet_lite0):
    (tmp_path / "data").symlink_to(example_data("stamps"))
    (tmp_path / name).write_text((STAMPS / name).read_text(encoding="utf-8"), encoding="utf-8")
    done = run_cli("build", tmp_path / name, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["product.yaml", "product.zh.yaml"])
def test_the_products_of_the_page_clear_their_bars(name, tmp_path, example_data, wordllama, e5_small):
    data = example_data("packages")
    (tmp_path / "data").symlink_to(data)
    (tmp_path / name).write_text((EXAMPLE / name).read_text(encoding="utf-8"), encoding="utf-8")
    done = run_cli("build", tmp_path / name, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    (bundle,) = (tmp_path / "runs").glob("*/bundle")
    (command,) = [c for block in blocks(PAGES[0], "bash") for c in block.splitlines() if "predict" in c]
    words = shlex.split(command)
    shown = run_cli("predict", bundle, *words[3:], "--lang", "en")
    assert shown.returncode == 0 and shown.stdout.strip()


@pytest.mark.slow
def test_the_table_of_the_page_clears_its_bar(tmp_path, example_data):
    (tmp_path / "data").symlink_to(example_data("genres"))
    spec = ROOT / "examples" / "genres" / "product.yaml"
    (tmp_path / "product.yaml").write_text(spec.read_text(encoding="utf-8"), encoding="utf-8")
    done = run_cli("build", tmp_path / "product.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
