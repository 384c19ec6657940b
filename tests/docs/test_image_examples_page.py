"""The page of image examples (image-examples.md, image-examples.zh.md): its products are the files, and build in both languages."""

import csv
import re
import shlex
import shutil

import pytest
import yaml

import rung
from rung.core.spec.product import parse_product
from support import ROOT, write_csv

PAGES = [ROOT / "docs" / "howto" / name for name in ("image-examples.md", "image-examples.zh.md")]
EXAMPLES = ROOT / "examples"
BLOCK = re.compile(r"```(\w+)[^\n]*\n(.*?)```", re.S)
TITLED = re.compile(r'```yaml title="([^"]+)"\n(.*?)```', re.S)
EACH, CLASSES = 24, 3


def blocks(page, language):
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def test_both_pages_show_the_products_that_are_there():
    for language in ("bash", "yaml"):
        assert blocks(PAGES[0], language) == blocks(PAGES[1], language)
    titled = TITLED.findall(PAGES[0].read_text(encoding="utf-8"))
    assert [name for name, _ in titled] == [
        f"examples/{name}/product.yaml" for name in ("digits", "things", "stamps")
    ]
    for name, shown in titled:
        assert (ROOT / name).read_text(encoding="utf-8").split("\n", 1)[1] == shown
    words = [shlex.split(line) for block in blocks(PAGES[0], "bash") for line in block.splitlines()]
    assert all((ROOT / word[-1]).is_file() for word in words if word[0] == "rung")
    for english in sorted({word[-1] for word in words if word[0] == "rung"}):
        one, other = (
            yaml.safe_load((ROOT / name).read_text("utf-8"))
            for name in (english, english.replace(".yaml", ".zh.yaml"))
        )
        assert (
            one["bar"] == other["bar"] and parse_product(yaml.safe_dump(other)).task == "image_classification"
        )


@pytest.mark.parametrize("language", ["", ".zh"])
@pytest.mark.parametrize("name", ["digits", "stamps", pytest.param("things", marks=pytest.mark.slow)])
def test_the_examples_build_on_a_part_of_their_data(name, language, tmp_path, example_data):
    data = example_data(name)
    if name == "stamps":
        with (data / f"stamps{language}.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["category"]]
        kinds = sorted(
            {row["category"] for row in rows}, key=lambda kind: -sum(r["category"] == kind for r in rows)
        )[:CLASSES]
        part = [row for kind in kinds for row in [r for r in rows if r["category"] == kind][:EACH]]
        for row in part:
            (tmp_path / "data" / row["image"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(data / row["image"], tmp_path / "data" / row["image"])
        write_csv(
            tmp_path / "data" / f"stamps{language}.csv",
            ["image", "category"],
            [[r["image"], r["category"]] for r in part],
        )
    else:
        for folder in sorted(path for path in data.iterdir() if path.is_dir())[:CLASSES]:
            (tmp_path / "data" / folder.name).mkdir(parents=True)
            for path in sorted(folder.iterdir())[:EACH]:
                shutil.copy(path, tmp_path / "data" / folder.name / path.name)
    text = (EXAMPLES / name / f"product{language}.yaml").read_text(encoding="utf-8")
    text = (
        re.sub(r"at_least: [\d.]+", "at_least: 0.3", text)
        + "ladder: [majority, {model: hog_linear, params: {head: ridge}}]\n"
    )
    (tmp_path / "product.yaml").write_text(text, encoding="utf-8")
    report = rung.build(tmp_path / "product.yaml").report
    hog = next(trial for trial in report["trials"] if trial["rung"] == "hog_linear")
    assert hog["scores"]["accuracy"] > 0.5 and len(report["data"]["labels"]) == CLASSES
