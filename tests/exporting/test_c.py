"""The C file compiles without a warning and answers as the server does, cells as nasty as they come."""

import re
import shutil

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from exported_tables import examples_of, nasty, source_of
from rung.exporting import c_arrays, c_target
from rung.exporting.source import Rows, answered_rows
from rung.exporting.target import ExportRefused
from support import run_cli

pytest.importorskip("lightgbm")
needs_compiler = pytest.mark.skipif(c_target.compiler() is None, reason="no C compiler")


def compared(source, rows, out):
    out.mkdir()
    c_target.write(source, out)
    return c_target.check(source, out, answered_rows(source, rows, "file", "rows"))


@needs_compiler
@pytest.mark.parametrize("family", ["linear_table", "boosted_trees", "stack", "explainable_boosting"])
@pytest.mark.parametrize("labels", [0, 2, 3])
def test_every_family_with_nasty_cells(family, labels, tmp_path):
    if family == "explainable_boosting":
        pytest.importorskip("interpret")
    inputs, score = nasty()
    targets = score.tolist()
    if labels:
        edges = np.quantile(score, np.linspace(0, 1, labels + 1)[1:-1])
        targets = [f"label {k}" for k in np.searchsorted(edges, score)]
    examples = examples_of("tabular_classification" if labels else "tabular_regression", inputs, targets)
    (tmp_path / "model").mkdir()
    source = source_of(family, examples, tmp_path / "model")
    rows = list(examples.records()) + [
        {**row, "colour?": "身份-9999", "colour": "strange"} for row in examples.take(range(20)).records()
    ]
    plain, sanitized = compared(source, rows, tmp_path / "out")
    for check in (plain, sanitized):
        assert check.agreement.equal == check.agreement.rows == len(rows), check.agreement.differing
        assert check.agreement.largest_difference < 1e-6


@needs_compiler
@pytest.mark.parametrize("family", ["linear_table", "boosted_trees"])
def test_real_tables(family, tmp_path):
    for name, found in (
        ("tabular_classification", load_breast_cancer()),
        ("tabular_regression", load_diabetes(scaled=False)),
    ):
        inputs = {str(column): found.data[:, j] for j, column in enumerate(found.feature_names)}
        targets = [str(t) for t in found.target] if name.endswith("classification") else found.target.tolist()
        examples = examples_of(name, inputs, targets)
        folder = tmp_path / name
        folder.mkdir()
        source = source_of(family, examples, folder)
        plain, _ = compared(source, list(examples.records()), tmp_path / f"out-{name}")
        assert plain.agreement.equal == len(examples) and plain.agreement.largest_difference < 1e-9


def test_the_file_includes_the_standard_library_alone(tmp_path):
    inputs, score = nasty(200)
    examples = examples_of("tabular_regression", inputs, score.tolist())
    (tmp_path / "model").mkdir()
    (tmp_path / "out").mkdir()
    c_target.write(source_of("linear_table", examples, tmp_path / "model"), tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.c")
    text = path.read_text(encoding="ascii")
    assert set(re.findall(r"#include <(\w+)\.h>", text)) == {
        "float",
        "math",
        "stddef",
        "stdint",
        "stdio",
        "stdlib",
        "string",
    }
    assert '#include "' not in text and "malloc" not in text


def test_free_text_and_models_of_text_are_refused_before_anything_is_written(built, tmp_path):
    done = run_cli("export", built.folder, "--to", "c", "--out", tmp_path / "out")
    assert done.returncode == 2 and "no model of a table" in done.stderr
    assert not (tmp_path / "out").exists()
    rng = np.random.default_rng(0)
    texts = [
        " ".join(rng.choice(["late", "broken", "fine", "good", "slow", "nice"], 8)) + f" order {i}"
        for i in range(300)
    ]
    targets = ["bad" if "broken" in text else "well" for text in texts]
    examples = examples_of("tabular_classification", {"note": texts, "n": rng.normal(size=300)}, targets)
    (tmp_path / "model").mkdir()
    source = source_of("linear_table", examples, tmp_path / "model")
    if source.predictor.model.fitted.features.texts:
        with pytest.raises(ExportRefused, match="holds free text"):
            c_target.write(source, tmp_path)


def test_without_a_compiler_it_is_written_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    inputs, score = nasty(200)
    examples = examples_of("tabular_regression", inputs, score.tolist())
    (tmp_path / "model").mkdir()
    (tmp_path / "out").mkdir()
    source = source_of("linear_table", examples, tmp_path / "model")
    notes = c_target.write(source, tmp_path / "out")
    assert [note.key for note in notes] == ["c", "no_compiler"]
    assert c_target.check(source, tmp_path / "out", Rows([], [], "file")) == []


def test_constants_keep_every_bit():
    values = [0.1, 1 / 3, 1e-310, -0.0, 2.0, 1e22, float("inf"), float("nan")]
    for value in values[:6]:
        shown = c_arrays.double(value)
        assert (float.fromhex(shown) if "x" in shown else float(shown)) == value
    assert c_arrays.double(values[6]) == "INFINITY" and c_arrays.double(values[7]) == "NAN"
    assert c_arrays.text('a"b?\n绿') == '"a\\042b\\077\\012\\347\\273\\277"'
