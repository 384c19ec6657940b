"""Ridge through inner products: the numbers of scikit-learn's, for few rows and for many."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="fitting needs rung[build]")
from scipy.sparse import random as random_sparse
from sklearn.linear_model import Ridge

from rung.training.linear import feature_matrix
from rung.training.linear import ridge as module
from rung.training.linear.feature_matrix import FeatureMatrix, SampledRows, gram_matrix
from rung.training.linear.ridge import ridge


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    words = random_sparse(400, 900, 0.02, format="csr", random_state=3)
    meaning = rng.normal(0.3, 0.2, (400, 24))
    codes = np.argmax(meaning[:, :4] + rng.normal(0, 0.1, (400, 4)), axis=1)
    return FeatureMatrix((words, meaning)), np.where(codes[:, None] == np.arange(4), 1.0, -1.0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("dual_rows", [5_000, 100])
def test_it_is_scikit_learns_ridge(problem, monkeypatch, alpha, dual_rows, weighted):
    matrix, targets = problem
    monkeypatch.setattr(module, "DUAL_ROWS", dual_rows)
    monkeypatch.setattr(module, "_TOLERANCE", 1e-5)
    by_row = np.random.default_rng(4).uniform(0.2, 3.0, len(targets)) if weighted else None
    weights, bias = ridge(matrix, targets, alpha, by_row)
    dense = np.hstack([matrix.blocks[0].toarray(), matrix.blocks[1]])
    peer = Ridge(alpha=alpha, solver="cholesky").fit(dense, targets, sample_weight=by_row)
    ours, theirs = matrix.dot(weights) + bias, peer.predict(dense)
    assert np.abs(ours - theirs).max() < 1e-3
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.99


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("at_once", [37, 4_096])
def test_many_rows_of_dense_features_are_scikit_learns_ridge(problem, monkeypatch, weighted, at_once):
    meaning, targets = problem[0].blocks[1], problem[1]
    matrix = FeatureMatrix((meaning[:, :20].astype(np.float32), meaning[:, 20:]))
    monkeypatch.setattr(module, "DUAL_ROWS", 100)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(module, "_conjugate_gradients", None)
    by_row = np.random.default_rng(4).uniform(0.2, 3.0, len(targets)) if weighted else None
    weights, bias = ridge(matrix, targets, 0.3, by_row)
    peer = Ridge(alpha=0.3, solver="cholesky").fit(np.hstack(matrix.blocks), targets, sample_weight=by_row)
    assert np.allclose(weights, peer.coef_.T, atol=1e-8) and np.allclose(bias, peer.intercept_, atol=1e-8)


def test_the_tolerance_it_ships_with_changes_no_label(problem, monkeypatch):
    matrix, targets = problem
    exact = matrix.dot(ridge(matrix, targets, 1.0)[0])
    monkeypatch.setattr(module, "DUAL_ROWS", 0)
    near = matrix.dot(ridge(matrix, targets, 1.0)[0])
    assert (exact.argmax(1) == near.argmax(1)).mean() > 0.99


def test_targets_that_are_all_alike_give_a_bias_alone(problem, monkeypatch):
    matrix, targets = problem
    monkeypatch.setattr(module, "DUAL_ROWS", 0)
    weights, bias = ridge(matrix, np.ones_like(targets), 1.0)
    assert np.all(weights == 0) and np.allclose(bias, 1.0)


@pytest.mark.parametrize("common", [0.0, 0.03, 1.0])
def test_inner_products_do_not_depend_on_which_columns_are_common(problem, monkeypatch, common):
    words = problem[0].blocks[0]
    monkeypatch.setattr(feature_matrix, "_COMMON", common)
    monkeypatch.setattr(feature_matrix, "_DENSE_CELLS", 50 * words.shape[0])
    assert np.allclose(gram_matrix(words), (words @ words.T).toarray())


def test_sampled_rows_multiply_a_shared_block_once(problem, monkeypatch):
    words, meaning = problem[0].blocks
    multiplied = []

    def counted(block):
        multiplied.append(type(block))
        return gram_matrix(block)

    monkeypatch.setattr(feature_matrix, "gram_matrix", counted)
    rows = np.arange(5, 305, 3)
    sampled = SampledRows(rows)
    for factor in (0.5, 2.0):
        matrix = FeatureMatrix((words, factor * meaning))
        assert np.allclose(sampled.gram(matrix), matrix.take(rows).gram())
        weights = np.ones((sampled.take(matrix).shape[1], 1))
        assert np.allclose(
            sampled.take(matrix).dot(weights), matrix.take(rows).dot(np.ones((matrix.shape[1], 1)))
        )
    ours = [kind for kind in multiplied if kind is not np.ndarray]
    assert len(ours) == 1 + 2  # once for both, and twice by the matrices it is held against
