"""Classifier two-sample test: do two sets of texts come from the same source? (Lopez-Paz & Oquab 2017)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.modalities.text.ngrams import NgramSpec, normalize_text, word_spans
from rung.modalities.text.tfidf import SparseRows, fit_block, transform
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.search import HeadCandidate, fit_weights

# Words that occur in this many rows of a side may be shown; rarer ones could be a person's name.
_MIN_ROWS = 5


@dataclass(frozen=True)
class TwoSampleResult:
    """correct of n held-out rows, half of each side, were assigned to the right side.

    p_value: probability of as many when the sides come from the same source. ours, theirs: words
    characteristic of each side. clearest: positions, among our texts, of the held-out ones most clearly
    distinguished from theirs, the clearest first.
    """

    correct: int
    n: int
    p_value: float
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    clearest: tuple[int, ...]


def two_sample_test(
    ours: Sequence[str], theirs: Sequence[str], seed: int = 0, most: int = 4_000
) -> TwoSampleResult | None:
    """Return how well a linear classifier distinguishes the texts; None when a side has fewer than 40.

    Equally many of both sides are drawn; half of them train the classifier. If the sides come from the same
    source, then given the texts and the classifier each held-out row is of either side with equal
    probability, so `correct` is binomial with 1/2: the p-value is exact.
    """
    size = min(len(ours), len(theirs), most)
    if size < 40:
        return None
    draw = np.random.default_rng(seed)
    drawn = [draw.permutation(len(side))[:size] for side in (ours, theirs)]
    texts = [
        normalize_text(side[i])[:5_000]
        for side, places in zip((ours, theirs), drawn, strict=True)
        for i in places.tolist()
    ]
    codes = np.repeat([0, 1], size)
    train = np.concatenate([draw.permutation(size)[: size // 2] + side * size for side in (0, 1)])
    test = np.setdiff1d(np.arange(2 * size), train)
    block, rows = fit_block([texts[i] for i in train], NgramSpec(2, 0, 0), 2, 50_000, 1.0)
    weights, bias = fit_weights(_matrix(rows), codes[train], 2, HeadCandidate("words", "svc", 0.3), seed)
    scores = transform([texts[i] for i in test], [block]).dot(weights.astype(np.float32)) + bias
    right = int((scores.argmax(axis=1) == codes[test]).sum())
    margin = (scores[:, 0] - scores[:, 1])[codes[test] == 0]
    ranked = np.argsort(-margin, kind="stable")[: int((margin > 0).sum())]
    clearest = tuple(drawn[0][test[codes[test] == 0][ranked]].tolist())
    return TwoSampleResult(
        right, len(test), _binomial_p_value(right, len(test)), *_characteristic_words(texts, codes), clearest
    )


def _matrix(rows: SparseRows) -> FeatureMatrix:
    from scipy.sparse import csr_matrix

    cells = (rows.values.astype(np.float64), rows.columns, rows.starts)
    return FeatureMatrix((csr_matrix(cells, (len(rows), rows.width)),))


def _binomial_p_value(right: int, n: int) -> float:
    """Return the probability of at least this many heads of n fair coins."""
    from scipy.special import betainc

    return 1.0 if right <= 0 else float(betainc(right, n - right + 1, 0.5))


def _characteristic_words(
    texts: Sequence[str], codes: npt.NDArray[np.int64]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return for each side the words that occur in far more of its rows than of the other's, at most five."""
    counts: dict[str, list[int]] = {}
    for text, code in zip(texts, codes.tolist(), strict=True):
        spans = word_spans(text[:2_000])
        words = [text[start:end] for start, end in spans]
        # Two ideographs make a word.
        words = [w for w in words if w.isascii()] + [
            a + b for a, b in zip(words, words[1:], strict=False) if not (a + b).isascii()
        ]
        for word in set(words):
            counts.setdefault(word, [0, 0])[code] += 1
    return _rank_words(counts, 0), _rank_words(counts, 1)


def _rank_words(counts: dict[str, list[int]], side: int) -> tuple[str, ...]:
    """Return the words of a side with the largest excess of rows over the other side, in standard errors."""
    strength = {
        word: (counts[side] - counts[1 - side]) / sum(counts) ** 0.5
        for word, counts in counts.items()
        if counts[side] >= _MIN_ROWS and counts[side] >= 2 * counts[1 - side] + 3
    }
    return tuple(sorted(strength, key=lambda word: (-strength[word], word))[:5])
