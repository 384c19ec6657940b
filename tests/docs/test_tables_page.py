"""The pages on tables say the same in both languages, and what they show of cells and specs is so."""

import re

import numpy as np
import pytest
import yaml

import rung
from rung.core.spec.product import Product, load_product, parse_product
from rung.modalities.tables.dates import parse_date
from rung.modalities.tables.numbers import parse_number
from support import ROOT

PAGES = [
    (ROOT / "docs" / "howto" / name).read_text(encoding="utf-8") for name in ("tables.md", "tables.zh.md")
]
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)


def test_both_pages_run_the_same():
    assert BLOCK.findall(PAGES[0]) == BLOCK.findall(PAGES[1])


@pytest.mark.parametrize("page", PAGES)
def test_cells_become_what_the_page_says(page):
    numbers, dates = (line for line in page.splitlines() if line.startswith(("| `1200`", "| `2024")))
    cells = re.findall(r"`([^`]+)`", numbers.split("|")[1])
    assert len(cells) == 7 and all(parse_number(cell, "kg") is not None for cell in cells)
    cells = re.findall(r"`([^`]+)`", dates.split("|")[1])
    found = {parse_date(cell, "mdy" if cell.startswith("01/") else "dmy") for cell in cells}
    assert len(cells) == 6 and found == {"2024-01-31"}


def test_the_costs_of_the_page_are_a_spec():
    (block,) = [text for kind, text in BLOCK.findall(PAGES[0]) if kind == "yaml" and "costs:" in text]
    product = parse_product(f"task: tabular_classification\ndata: {{path: x.csv, target: y}}\n{block}")
    assert product.costs.false_negative == yaml.safe_load(block)["costs"]["false_negative"]


def test_the_groups_of_the_page_are_a_spec():
    said = [text for kind, text in BLOCK.findall(PAGES[0]) if kind == "yaml" and "costs:" not in text]
    product = parse_product(
        "task: tabular_classification\nbar: {metric: accuracy, at_least: 0.8}\n" + "".join(said)
    )
    assert (product.data.group, product.data.time, product.certify.groups) == ("device", "day", "new")


@pytest.mark.parametrize("name", ["churn", "credit", "disease", "houses", "income", "rare"])
def test_the_examples_are_specs(name):
    product, _ = load_product(ROOT / "examples" / name)
    assert product.name == name and product.task.startswith("tabular_")


def test_the_columns_of_a_data_frame_are_answered(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "age": [np.nan if i % 7 == 0 else 20 + i % 50 for i in range(200)],
            "city": ["Rome" if i % 3 else "Oslo" for i in range(200)],
            "y": ["yes" if i % 50 > 25 else "no" for i in range(200)],
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    spec = {
        "task": "tabular_classification", "data": {"path": "t.csv", "target": "y"}, "certify": {"fraction": 0.0},
        "bar": {"metric": "roc_auc", "at_least": 0.6}, "ladder": ["linear_table"], "budget": {"effort": 0, "threads": 1},
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    model = rung.load(rung.build(Product.model_validate(spec), run=tmp_path / "run").bundle)
    (block,) = [text for kind, text in BLOCK.findall(PAGES[0]) if kind == "python"]
    found = eval(block, {"model": model, "frame": frame})  # noqa: S307 - our own page
    each = [
        answer.extra["probabilities"] for answer in model.predict(frame.drop(columns="y").to_dict("records"))
    ]
    np.testing.assert_allclose(found, each)
