"""Trees taken out of LightGBM answer and explain as LightGBM itself does: in numpy, as ONNX and as tables of leaves."""

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from rung.modalities.tables.features import Cells
from rung.modalities.tables.quickscorer import build_quickscorer
from rung.modalities.tables.tree_arrays import Trees
from rung.modalities.tables.tree_ensemble import TreeEncoding, TreeEnsemble
from rung.modalities.tables.tree_onnx import OnnxTrees
from rung.modalities.tables.tree_shap import TreeShap
from rung.runtime.onnx.session import OnnxFile
from rung.training.tables.tree_arrays import concatenate_trees, trees_from_lightgbm
from rung.training.tables.tree_onnx import trees_to_onnx, with_onnx

lgb = pytest.importorskip("lightgbm")


@pytest.fixture(scope="module")
def fitted():
    """Breast cancer in single precision, a tenth of the cells missing; a booster and its trees."""
    found = load_breast_cancer()
    rows = found.data.astype(np.float32)
    rows[np.random.default_rng(0).random(rows.shape) < 0.1] = np.nan
    params = {
        "objective": "binary",
        "num_leaves": 8,
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
    }
    booster = lgb.train(params, lgb.Dataset(rows, found.target), 40)
    return rows, booster, trees_from_lightgbm(booster.dump_model(), 1)


def test_numpy_and_onnx_answer_as_lightgbm_does(fitted):
    rows, booster, trees = fitted
    expected = booster.predict(rows, raw_score=True)
    assert np.abs(trees.raw(rows)[:, 0] - expected).max() < 1e-5
    content = trees_to_onnx(trees, rows.shape[1])
    answers = OnnxFile(Path("t"), content, "t").run("raw", {"rows": rows})
    assert np.abs(answers[:, 0] - expected).max() < 1e-4


@pytest.mark.parametrize("leaves", [2, 8, 9, 31, 64])
@pytest.mark.parametrize("objective", ["binary", "multiclass"])
def test_tables_of_leaves_answer_as_the_nodes_do(leaves, objective):
    rng = np.random.default_rng(leaves)
    rows = rng.normal(size=(3_000, 6)).astype(np.float32)
    rows[:, 1] = np.round(rows[:, 1])
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[:5, 0], rows[5:9, 0] = np.inf, -np.inf
    target = (
        np.nan_to_num(rows[:, 0] * rows[:, 2]) + np.isnan(rows[:, 3]) + rng.normal(size=3_000) > 0.5
    ).astype(int)
    params = {
        "objective": objective,
        "num_leaves": leaves,
        "verbosity": -1,
        "num_threads": 1,
        "min_data_in_leaf": 2,
    }
    outputs = 1
    if objective == "multiclass":
        target, outputs = target + (np.nan_to_num(rows[:, 4]) > 1), 3
        params["num_class"] = outputs
    booster = lgb.train(params, lgb.Dataset(rows, target), 20)
    trees = trees_from_lightgbm(booster.dump_model(), outputs)
    tables = build_quickscorer(trees)
    asked = np.vstack(
        [rows, rng.normal(size=(500, 6)).astype(np.float32) * 3, np.full((1, 6), np.nan, np.float32)]
    )
    assert np.abs(tables.raw(asked) - trees.raw(asked)).max() < 1e-12
    # Exactly on a threshold is left of it, here as there.
    edge = np.tile(trees.threshold[trees.feature >= 0][:200, None], (1, 6))
    assert np.abs(tables.raw(edge) - trees.raw(edge)).max() < 1e-12
    one_by_one = np.vstack([tables.raw(row[None]) for row in asked[:60]])
    assert np.array_equal(one_by_one, tables.raw(asked)[:60])
    assert tables.raw(asked[:0]).shape == (0, outputs)


def test_larger_trees_run_in_onnx_runtime(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2_000, 3)).astype(np.float32)
    params = {"num_leaves": 65, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2}
    booster = lgb.train(params, lgb.Dataset(rows, rows.sum(axis=1)), 2)
    trees = trees_from_lightgbm(booster.dump_model(), 1)
    assert build_quickscorer(trees) is None
    cells = Cells(rows.astype(np.float64), np.zeros((2_000, 0), np.int32), ())
    fitted = with_onnx(TreeEnsemble(TreeEncoding(np.zeros(3), ()), trees, 1))
    fitted.save_onnx(tmp_path / "part.onnx")
    plain = TreeEnsemble.from_arrays(fitted.arrays())
    opened = plain.with_fast_scorer(tmp_path / "part.onnx")
    assert isinstance(opened.fast_scorer, OnnxTrees)
    assert np.abs(opened.raw(cells) - trees.raw(rows)).max() < 1e-4
    assert opened.raw(cells.take(np.arange(0))).shape == (0, 1)
    # What was loaded can be saved again; a bundle without the file answers the same, node by node.
    opened.save_onnx(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "part.onnx").read_bytes()
    older = plain.with_fast_scorer(tmp_path / "missing.onnx")
    assert older.fast_scorer is None and np.abs(older.raw(cells) - opened.raw(cells)).max() < 1e-4


def test_trees_that_never_ask_are_their_one_leaf():
    kinds = (np.int32, np.float32, np.int32, np.int32, np.bool_, np.float32, np.float32, np.int32, np.int32)
    columns = ([-1, -1], [0, 0], [-1, -1], [-1, -1], [False, False], [0.25, 0.5], [3, 3], [0, 1], [0, 0])
    stump = Trees(*(np.array(c, dtype=kind) for c, kind in zip(columns, kinds, strict=True)), 1)
    assert build_quickscorer(stump).raw(np.zeros((2, 1), np.float32)).tolist() == [[0.75], [0.75]]


def test_the_onnx_model_is_one_by_its_own_checker(fitted):
    onnx = pytest.importorskip("onnx")
    rows, _, trees = fitted
    model = onnx.load_model_from_string(trees_to_onnx(trees, rows.shape[1]))
    onnx.checker.check_model(model, full_check=True)
    (node,) = model.graph.node
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert (node.op_type, node.domain, found["n_targets"]) == ("TreeEnsemble", "ai.onnx.ml", 1)
    splits = onnx.numpy_helper.to_array(found["nodes_splits"])
    assert np.array_equal(splits, trees.threshold[trees.feature >= 0])
    assert len(found["tree_roots"]) == len(trees.roots)


def test_arrays_hold_every_node(fitted):
    rows, _, trees = fitted
    arrays = trees.arrays()
    again = Trees.from_arrays(arrays)
    inside = trees.feature >= 0
    for name in ("feature", "left", "right", "cover", "roots", "output"):
        assert np.array_equal(getattr(again, name), getattr(trees, name)), name
    assert np.array_equal(again.missing_left[inside], trees.missing_left[inside])
    assert np.array_equal(again.raw(rows), trees.raw(rows)) and np.isnan(rows).any()
    assert sum(a.nbytes for a in arrays.values()) < 13 * len(trees.feature) + 1_000


def test_contributions_are_those_of_lightgbm_and_add_up(fitted):
    rows, booster, trees = fitted
    shap = TreeShap(trees)
    ours = shap.contributions(rows[:40])[:, :, 0]
    theirs = booster.predict(rows[:40], pred_contrib=True)
    assert np.abs(ours - theirs[:, :-1]).max() < 1e-4
    assert np.abs(ours.sum(axis=1) + shap.expected[0] - trees.raw(rows[:40])[:, 0]).max() < 1e-6


def test_contributions_are_shapley_values_by_definition():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 4)).astype(np.float32)
    target = rows[:, 0] * rows[:, 1] + np.abs(rows[:, 2])
    booster = lgb.train({"num_leaves": 6, "verbosity": -1, "num_threads": 1}, lgb.Dataset(rows, target), 3)
    trees = trees_from_lightgbm(booster.dump_model(), 1)

    def value(row, known):
        def walk(node):
            if trees.feature[node] < 0:
                return float(trees.value[node])
            left, right = trees.left[node], trees.right[node]
            if trees.feature[node] in known:
                return walk(left if row[trees.feature[node]] <= trees.threshold[node] else right)
            share = trees.cover[left] / trees.cover[node]
            return share * walk(left) + (1 - share) * walk(right)

        return sum(walk(root) for root in trees.roots)

    for row in rows[:3]:
        for i in range(4):
            others = [j for j in range(4) if j != i]
            exact = sum(
                math.factorial(len(s)) * math.factorial(3 - len(s)) / 24 * (value(row, {*s, i}) - value(row, set(s)))
                for size in range(4) for s in combinations(others, size)
            )  # fmt: skip
            assert TreeShap(trees).contributions(row[None])[0, i, 0] == pytest.approx(exact, abs=1e-6)


def test_joined_trees_answer_the_sum(fitted):
    rows, _, trees = fitted
    assert np.allclose(concatenate_trees([trees, trees]).raw(rows[:50]), 2 * trees.raw(rows[:50]))
