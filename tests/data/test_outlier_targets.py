"""Targets far from all others are counted and said; placeholders are left out on request."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from case_products import prepared, product_of
from rung.core.messages import LANGUAGES
from rung.core.stats.outliers import range_without_outliers, repeated_outlier
from rung.data.checks import outlier_targets, placeholder_targets
from rung.data.profile.view import View
from rung.pages.findings import finding_text
from rung.training.tables.target_transform import fit_target_transform
from support import write_csv


@pytest.mark.parametrize(
    "rest,isolated",
    [
        (np.linspace(0, 100, 230), [-5e5]),
        (np.linspace(0, 100, 230), [-5e5, 3e6]),
        (np.linspace(0, 100, 230), [-5e5, -6e5, 3e6]),
        (np.linspace(0, 100, 1000), [1e9] * 9),
        (np.linspace(0, 100, 24), [700.0]),
        # Near enough, too many, no scale of the others, a heavy tail.
        (np.linspace(0, 100, 230), []),
        (np.append(np.linspace(0, 100, 230), [550.0, -480.0]), []),
        (np.append(np.linspace(0, 100, 200), np.linspace(5000, 5010, 20)), []),
        (np.append(np.zeros(400), [5000.0, 9000.0]), []),
        (np.exp(2 * np.random.default_rng(0).normal(size=2000)), []),
    ],
)
def test_isolated_values_are_left_out_of_the_range(rest, isolated):
    values = np.random.default_rng(1).permutation(np.append(rest, isolated))
    assert range_without_outliers(values) == (rest.min(), rest.max())


def test_a_repeated_value_beyond_the_range_is_a_placeholder():
    rest = np.linspace(3, 40, 200)
    assert repeated_outlier(np.append(rest, [-999999.0] * 40)) == -999999.0
    assert repeated_outlier(np.append(rest, [9999.0] * 3)) == 9999.0
    assert repeated_outlier(np.append(rest, [-999999.0] * 2)) is None
    assert repeated_outlier(np.append(rest, [0.0] * 40)) is None


@pytest.mark.parametrize(
    "odd,greatest", [([], None), ([-5e5], None), ([1e30], None), ([300.0, 4000.0], 4000.0)]
)
def test_a_skewed_target_is_still_learned_as_its_logarithm(odd, greatest):
    """A few thousand are the tail of the logarithm, although they lie beyond five times the range of the numbers."""
    rest = np.exp(np.random.default_rng(0).normal(2, 1.2, size=400))
    fitted = fit_target_transform(np.append(rest, odd))
    assert fitted.logarithmic and (fitted.low, fitted.high) == pytest.approx(
        (rest.min(), greatest or rest.max())
    )
    assert fitted.spread == pytest.approx(np.log(rest).std(), rel=0.1)


def table(path, odd, kind="csv", n=300):
    draw = random.Random(0)
    rows = [[draw.random(), f"{draw.choice('xyz')}", round(100 + 50 * draw.random(), 2)] for _ in range(n)]
    for i, value in enumerate(odd):
        rows[7 * i + 3][2] = value
    if kind == "csv":
        write_csv(path / "d.csv", ["a", "b", "y"], rows)
    else:
        names = ("a", "b", "y")
        columns = {name: [row[j] for row in rows] for j, name in enumerate(names)}
        pq.write_table(pa.table(columns), path / "d.parquet")
    return f"d.{kind}"


def view_of(base, name):
    data = prepared(base, name, task="tabular_regression", target="y")
    return View(product_of(base, name, task="tabular_regression", target="y"), base, data.dataset)


def test_outliers_of_training_rows_are_named_with_the_range_of_the_others(tmp_path):
    view = view_of(tmp_path, table(tmp_path, [-5e5, 3e6]))
    there = [t for t in view.all_train.targets if not 99 < t < 151]
    assert there, "the split left none in training"
    found = outlier_targets.check(view)
    assert (found.level, found.rows, found.of) == ("warn", len(there), len(view.all_train))
    assert {item.note for item in found.evidence} == {f"{t:,.10g}" for t in there}
    for lang in LANGUAGES:
        words = finding_text(found.as_dict(), lang)
        assert f"{there[0]:,.10g}" in words["what"] and found.values["high"] in words["what"]
        assert "missing_labels: [...]" in words["remedy"]
    assert placeholder_targets.check(view) is None


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_placeholder_is_named_and_left_out_on_request(tmp_path, kind):
    name = table(tmp_path, [-999999.0] * 30, kind)
    view = view_of(tmp_path, name)
    found = placeholder_targets.check(view)
    assert found.rows == sum(t == -999999 for t in view.all_train.targets) > 3
    assert outlier_targets.check(view) is None
    for lang in LANGUAGES:
        words = finding_text(found.as_dict(), lang)
        assert "missing_labels: ['-999999']" in words["remedy"] and "149" in words["what"]
    (tmp_path / "certificate.lock").unlink()
    data = prepared(tmp_path, name, task="tabular_regression", target="y", missing_labels=["-999999"])
    assert data.facts["quarantined"] == {"missing_target": 30} and data.facts["used"] == 270
