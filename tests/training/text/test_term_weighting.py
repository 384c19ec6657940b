"""N-grams weighed by two labels: kept where held-out rows say so, and the same at predicting as at fitting."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="fitting needs rung[build]")

from rung.core.model import FitContext
from rung.core.types import Examples, Field, Schema
from rung.modalities.text.ngrams import NgramSpec
from rung.modalities.text.tfidf import fit_block, transform
from rung.models.tfidf_linear import TfidfLinear, TfidfLinearParams
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.search import HeadCandidate, SearchResult
from rung.training.text import term_weighting
from rung.training.text.ngram_candidates import default_word_max
from rung.training.text.term_weighting import weight_terms_by_label


def rows(labels: int, count: int = 400) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, labels, count)
    noise = [f"word{i}" for i in range(300)]
    texts = [
        " ".join([*rng.choice(noise, 30), f"sign{code}" if rng.random() < 0.7 else "none"]) for code in codes
    ]
    return texts, codes.astype(np.int64)


def weighed(labels: int, shuffled: bool = False):
    from scipy.sparse import csr_matrix

    texts, codes = rows(labels)
    if shuffled:
        codes = np.random.default_rng(1).permutation(codes)
    block, found = fit_block(texts, NgramSpec(1), 1, 10_000, 0.7)
    sparse = csr_matrix(
        (found.values.astype(np.float64), found.columns, found.starts), (len(texts), found.width)
    )
    winner = SearchResult(
        HeadCandidate("words", "ridge", 1.0), 0.5, (), np.zeros((len(texts), labels)), np.arange(len(texts))
    )
    meaning = np.random.default_rng(2).normal(size=(len(texts), 3))
    matrix = FeatureMatrix((sparse, meaning))
    return texts, matrix, weight_terms_by_label(matrix, (block,), codes, winner, FitContext())


@pytest.mark.parametrize("at_once", [7, 20_000])
def test_what_leans_to_a_label_counts_more_and_rows_stay_as_long(monkeypatch, at_once):
    monkeypatch.setattr(term_weighting, "_ROWS_AT_ONCE", at_once)
    texts, before, after = weighed(2)
    assert after is not None
    lengths = [np.sqrt((m.blocks[0].multiply(m.blocks[0])).sum(axis=1)) for m in (before, after.matrix)]
    assert np.allclose(*lengths)
    assert np.array_equal(after.matrix.blocks[1], before.blocks[1])
    share = after.blocks[0].idf / after.blocks[0].idf.mean()
    strongest = np.argsort(-share)[:2]
    said = transform(["sign0 sign1"], after.blocks)
    assert set(said.columns.tolist()) == set(strongest.tolist())


def test_predicting_weighs_as_fitting_did():
    texts, _, after = weighed(2)
    again = transform(texts, after.blocks)
    ours = after.matrix.blocks[0]
    assert np.array_equal(again.columns, ours.indices) and np.allclose(again.values, ours.data, atol=1e-6)


def test_scores_to_calibrate_on_come_from_other_folds():
    """Labels without any sense: whoever looks at a row's own label answers better than chance."""
    rights = []
    for shuffled in (False, True):
        _, _, after = weighed(2, shuffled)
        if after is not None:
            scores, held = after.found.calibration_scores
            codes = rows(2)[1] if not shuffled else np.random.default_rng(1).permutation(rows(2)[1])
            rights.append(float((scores.argmax(axis=1) == codes[held]).mean()))
    assert rights[0] > 0.75
    assert all(right < 0.6 for right in rights[1:])


def test_more_than_two_labels_are_left_alone():
    assert weighed(3)[2] is None


def test_a_model_says_whether_it_weighed():
    texts, codes = rows(2)
    schema = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("a", "b")),))
    n = len(texts)
    examples = Examples(schema, {"text": texts}, ["ab"[c] for c in codes], texts, list(range(n)), [0.0] * n)
    model = TfidfLinear.fit(examples, TfidfLinearParams(), FitContext())
    assert model.chosen["by_label"] in {True, False}
    assert (
        TfidfLinear.fit(examples, TfidfLinearParams(by_label=False), FitContext()).chosen["by_label"] is False
    )


@pytest.mark.parametrize(
    "texts, words",
    [(["a plain text of words"], 2), (["酒店很干净，服务也好", "ok 不错"], 3), ([], 2), ([""], 2)],
)
def test_scripts_without_blanks_take_three_in_a_row(texts, words):
    assert default_word_max(texts) == words
