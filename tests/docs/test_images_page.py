"""The page on images is followed in both languages, on a part of its data; what it shows of specs and outputs is so."""

import csv
import io
import re
import shlex
import shutil

import pytest
import yaml

import caches
from rung.core.spec.product import parse_product
from support import ROOT, run_cli, run_python

PAGES = [ROOT / "docs" / "howto" / name for name in ("images.md", "images.zh.md")]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)
EXAMPLE = ROOT / "examples" / "garments"
COUNT = 1000


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """The example with its first images and a bar that they can clear."""
    base = tmp_path_factory.mktemp("images")
    folder = base / "examples" / "garments"
    caches.garments(COUNT)  # skips where the package of the data cannot be fetched
    files = [path for path in caches.example("garments").glob("*/*.png") if int(path.stem) < COUNT]
    for path in files:
        (folder / "data" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "data" / path.parent.name / path.name)
    text = (EXAMPLE / "product.yaml").read_text(encoding="utf-8")
    assert "at_least: 0.86" in text
    text = text.replace("at_least: 0.86", "at_least: 0.5") + "budget: {effort: 1, threads: 1}\n"
    (folder / "product.yaml").write_text(text, encoding="utf-8")
    return base


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_is_followed(page, workspace):
    shutil.rmtree(workspace / "examples" / "garments" / "runs", ignore_errors=True)
    (workspace / "examples" / "garments" / "certificate.lock").unlink(missing_ok=True)
    (workspace / "garments.yaml").unlink(missing_ok=True)
    commands = [line for block in blocks(page, "bash") for line in block.splitlines()]
    assert len(commands) == 6
    said = {}
    for line in commands:
        if line.startswith("rung ") and not line.endswith("&"):
            done = run_cli(*shlex.split(line)[1:], cwd=workspace)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            said[line.split()[1]] = done.stdout
    assert set(said) == {"plan", "build", "predict"}
    assert "task: image_classification" in (workspace / "garments.yaml").read_text(encoding="utf-8")
    coats = len(list((workspace / "examples" / "garments" / "data" / "coat").iterdir()))
    assert len(list(csv.DictReader(io.StringIO(said["predict"])))) == coats
    (script,) = blocks(page, "python")
    done = run_python(script, workspace)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_product_shown_is_the_file(page):
    unlabelled, shown, *ladders = (yaml.safe_load(block) for block in blocks(page, "yaml"))
    assert parse_product(yaml.safe_dump(shown | unlabelled)).labelling is not None
    assert shown == yaml.safe_load((EXAMPLE / "product.yaml").read_text(encoding="utf-8"))
    entries = [parse_product(yaml.safe_dump(shown | ladder)).ladder or () for ladder in ladders]
    assert [(entry.model, entry.params) for ladder in entries for entry in ladder if entry.params] == [
        ("finetuned_backbone", {"blocks": 3, "epochs": 4}),
        ("hog_linear", {"side": 64, "fit": "pad"}),
    ]


def test_both_pages_say_the_same():
    english, chinese = (
        [line.split() for block in blocks(page, "bash") for line in block.splitlines()] for page in PAGES
    )
    assert english == [[word for word in line if word not in {"--lang", "zh"}] for line in chinese]
    scores = [re.findall(r"\d\.\d{4}", "".join(blocks(page, "text"))) for page in PAGES]
    assert scores[0] == scores[1] and len(scores[0]) == 6
