"""A search stops where a strength or a kind of head cannot win any more."""

import numpy as np

from rung.core.model import FitContext
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.search import HeadCandidate, _cannot_win, candidate_heads, fit_head, search


def right(count, of=1_000):
    return np.arange(of) < count


def test_beyond_a_strength_that_was_worse_none_is_tried():
    tried = {HeadCandidate("words", "svc", 1.0): right(900), HeadCandidate("words", "svc", 0.3): right(910)}
    assert _cannot_win(HeadCandidate("words", "svc", 3.0), tried)
    assert not _cannot_win(HeadCandidate("words", "svc", 0.1), tried)
    rising = {HeadCandidate("words", "svc", 1.0): right(910), HeadCandidate("words", "svc", 0.3): right(900)}
    assert not _cannot_win(HeadCandidate("words", "svc", 3.0), rising)
    # A row or two are noise, and other features or heads are judged by their own.
    near = tried | {HeadCandidate("words", "svc", 0.3): right(902)}
    assert not _cannot_win(HeadCandidate("words", "svc", 3.0), near)
    assert not _cannot_win(HeadCandidate("chars", "svc", 3.0), tried)
    # Ridges share a matrix, and cost next to nothing.
    ridges = {HeadCandidate("words", "ridge", c): rows for c, rows in ((1.0, right(900)), (0.3, right(910)))}
    assert not _cannot_win(HeadCandidate("words", "ridge", 3.0), ridges)


def test_a_head_far_behind_is_given_up_and_one_within_noise_is_not():
    best = {HeadCandidate("mean", "ridge", 10.0): right(900)}
    assert not _cannot_win(HeadCandidate("mean", "logistic", 10.0), best)
    far = best | {HeadCandidate("mean", "logistic", 10.0): right(860)}
    assert _cannot_win(HeadCandidate("mean", "logistic", 3.0), far)
    # Six rows behind: less than 2.5 standard errors of six rows, 2.4 each.
    near = best | {HeadCandidate("mean", "logistic", 10.0): right(894)}
    assert not _cannot_win(HeadCandidate("mean", "logistic", 3.0), near)


def test_the_winner_is_that_of_the_whole_grid_and_its_gram_matrix_is_used_again():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(4), 150)
    vectors = rng.standard_normal((4, 30))[codes] + 2.0 * rng.standard_normal((600, 30))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix = FeatureMatrix((vectors,))
    heads = candidate_heads("auto", None, 2, dense=True)
    context = FitContext(seed=0)
    found = search({"mean": matrix}, codes, 4, heads, context)
    alone = [search({"mean": matrix}, codes, 4, [head], context) for head in heads]
    assert found.accuracy == max(one.accuracy for one in alone)
    assert len(found.results) <= len(heads)
    ridge = search({"mean": matrix}, codes, 4, [("ridge", 10.0)], context)
    assert ridge.gram is not None and ridge.gram[0] is matrix
    with_gram = fit_head(matrix, codes, 4, ridge, context)
    without = fit_head(FeatureMatrix((vectors,)), codes, 4, ridge, context)
    assert np.array_equal(with_gram.weights, without.weights) and np.array_equal(with_gram.bias, without.bias)
