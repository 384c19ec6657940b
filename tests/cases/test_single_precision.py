"""Trees tell numbers apart that single precision does not: ids of nine digits, Unix seconds, the largest double."""

import csv
from pathlib import Path

import numpy as np
import pytest

from rung.core import registry
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples, Field, Schema

HERE = Path(__file__).parent


def examples(columns, targets):
    labels = tuple(sorted(set(targets)))
    inputs = tuple(Field(name, "number", "input") for name in columns)
    n = len(targets)
    schema = Schema(inputs, (Field("cls", "category", "output", labels),))
    return Examples(schema, columns, targets, [f"{i:016x}" for i in range(n)], range(n), [0.0] * n)


def auc_of_later_half(columns, targets, folder):
    """Return the ROC-AUC on the second half of trees fitted on the first, saved and loaded."""
    family = registry.model("boosted_trees")
    half = len(targets) // 2
    rows = examples(columns, targets)
    model = family.fit(rows.take(range(half)), make_params(family.Params, {}), FitContext(0, 1, 0))
    model.save(folder)
    loaded = family.load(folder, rows.schema)
    scores = np.array(loaded.probabilities(rows.take(range(half, 2 * half)).inputs))[:, 1]
    positive = np.array(targets[half : 2 * half]) == rows.schema.labels[1]
    above = scores[positive][:, None] - scores[~positive][None]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def merchants():
    with (HERE / "id9.csv").open() as file:
        read = list(csv.DictReader(file))
    columns = {name: [float(row[name]) for row in read] for name in read[0] if name != "cls"}
    return columns, [row["cls"] for row in read]


def test_ids_of_nine_digits_are_as_good_as_ids_of_three(tmp_path):
    columns, targets = merchants()
    short = dict(columns, merchant_id=[cell - 500_000_000 + 500 for cell in columns["merchant_id"]])
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    found = auc_of_later_half(columns, targets, tmp_path / "a")
    assert found == pytest.approx(auc_of_later_half(short, targets, tmp_path / "b"), abs=0.02)
    assert found > 0.85


def test_seconds_since_1970_tell_the_minute(tmp_path):
    rng = np.random.default_rng(0)
    seconds = 1_700_000_000 + rng.permutation(1_200)
    targets = np.where((seconds - 1_700_000_000) % 120 < 60, "even", "odd").tolist()
    assert auc_of_later_half({"at": seconds.astype(float).tolist()}, targets, tmp_path) > 0.9


def test_the_largest_double_is_clipped(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    columns = {
        "x": x.tolist(),
        "y": np.where(rng.random(600) < 0.1, 1.797e308, rng.normal(size=600)).tolist(),
    }
    assert auc_of_later_half(columns, np.where(x > 0, "a", "b").tolist(), tmp_path) > 0.95
