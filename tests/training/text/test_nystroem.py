"""Closeness to landmarks: the kernel's inner products, the same when served, kept only where held-out rows gain."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="fitting needs rung[build]")

from rung.core.model import FitContext
from rung.runtime.linear import nystroem as curves_module
from rung.runtime.linear.nystroem import Nystroem, fit_nystroem
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.nystroem_search import search_nystroem
from rung.training.linear.search import HeadCandidate, SearchResult, fit_head

EFFORT = FitContext(effort=2)


@pytest.fixture(autouse=True)
def few_landmarks(monkeypatch):
    monkeypatch.setattr(curves_module, "_MAX_LANDMARKS", 300)


def rings(count=2_400, width=8):
    """Vectors whose label is whether they lie inside a circle: no flat border tells them apart."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, width))
    codes = ((vectors[:, :2] ** 2).sum(axis=1) < 1.4).astype(np.int64)
    return vectors, codes


def found(codes, head="ridge"):
    return SearchResult(
        HeadCandidate("x", head, 1.0), 0.5, (), np.zeros((len(codes), 2)), np.arange(len(codes))
    )


def test_inner_products_of_the_features_are_the_kernel():
    vectors, _ = rings(300)
    curves, weights = fit_nystroem(vectors, 0)
    features = curves.dot(vectors, weights)
    centred = vectors - vectors.mean(axis=0)
    centred /= np.sqrt((centred**2).sum(axis=1).mean())
    apart = ((centred[:, None] - centred[None]) ** 2).sum(axis=2)
    # Directions of less than a hundredth are left out, vectors are rounded to half precision.
    assert np.abs(features @ features.T - np.exp(-apart)).max() < 0.03


def test_many_rows_are_answered_as_each_alone():
    vectors, _ = rings(2_400)
    curves, weights = fit_nystroem(vectors, 0)
    assert curves.count == 300
    together = curves.dot(vectors, weights)
    assert np.allclose(together[2_060:2_063], curves.dot(vectors[2_060:2_063], weights), atol=1e-12)


def test_tensors_bring_the_same_curves_back():
    vectors, _ = rings(300)
    curves, weights = fit_nystroem(vectors, 0)
    again = Nystroem.from_tensors({**curves.tensors(), "weights": weights})
    assert again is not None
    assert np.array_equal(again.dot(vectors, weights), curves.dot(vectors, weights))
    assert Nystroem.from_tensors({"weights": weights}) is None


def test_curved_borders_are_kept_where_they_gain_and_serve_what_was_fitted():
    vectors, codes = rings()
    flat = FeatureMatrix((vectors,))
    bent = search_nystroem(flat, vectors, codes, found(codes), None, EFFORT)
    assert bent is not None
    head = fit_head(bent.matrix, codes, 2, bent.found, EFFORT)
    scores = bent.matrix.dot(head.weights) + head.bias
    assert (scores.argmax(axis=1) == codes).mean() > 0.9
    served = bent.nystroem.dot(vectors, bent.map_to_kernel(head).weights) + head.bias
    assert np.allclose(scores, served, atol=1e-4)


def test_flat_borders_stay_where_curves_lose():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(2_000, 60))
    codes = (vectors.sum(axis=1) > 0).astype(np.int64)
    assert search_nystroem(FeatureMatrix((5 * vectors,)), vectors, codes, found(codes), None, EFFORT) is None


@pytest.mark.parametrize(
    ("rows", "head", "wanted", "effort"),
    [
        (2_400, "ridge", False, 2),
        (1_000, "ridge", None, 2),
        (2_400, "svc", None, 2),
        (2_400, "ridge", None, 1),
    ],
)
def test_it_is_not_tried_where_it_was_never_seen_to_gain_or_is_not_wanted(rows, head, wanted, effort):
    vectors, codes = rings(rows)
    assert (
        search_nystroem(
            FeatureMatrix((vectors,)), vectors, codes, found(codes, head), wanted, FitContext(effort=effort)
        )
        is None
    )


def test_it_is_used_when_asked_for():
    vectors, codes = rings(300)
    assert search_nystroem(FeatureMatrix((vectors,)), vectors, codes, found(codes), True, EFFORT) is not None


def test_equal_vectors_are_no_trouble():
    vectors = np.ones((50, 4))
    curves, weights = fit_nystroem(vectors, 0)
    assert np.isfinite(curves.dot(vectors, weights)).all()
