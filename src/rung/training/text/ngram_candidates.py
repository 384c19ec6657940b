"""Candidate n-gram feature sets: words, and words with characters, by effort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from rung.modalities.text.ngrams import NgramSpec, is_one_char_word
from rung.modalities.text.tfidf import TfidfBlock, fit_block
from rung.training.linear.feature_matrix import FeatureMatrix

# Texts sampled to detect the script.
_SCRIPT_ROWS = 500

# N-grams of each kind to keep by default.
MAX_FEATURES = 300_000


class NgramParams(Protocol):
    """Parameters; None is searched on training rows within the effort, or, for `words`, depends on the
    script.
    """

    @property
    def words(self) -> int | None: ...
    @property
    def chars(self) -> tuple[int, int]: ...
    @property
    def use_chars(self) -> bool | None: ...
    @property
    def chars_weight(self) -> float: ...
    @property
    def min_rows(self) -> int | None: ...
    @property
    def most_features(self) -> int | None: ...


def ngram_feature_sets(
    texts: Sequence[str], params: NgramParams, chars_tried: int
) -> tuple[dict[str, FeatureMatrix], dict[str, tuple[TfidfBlock, ...]]]:
    """Return candidate feature sets of normalised texts, cheapest first, and the blocks of each.

    chars_tried: characters of text up to which character n-grams are tried, unless `params` decide.
    """
    from scipy.sparse import csr_matrix

    fitted: dict[NgramSpec, tuple[TfidfBlock, Any]] = {}
    sets: dict[str, FeatureMatrix] = {}
    blocks: dict[str, tuple[TfidfBlock, ...]] = {}
    words = default_word_max(texts) if params.words is None else params.words
    for name, specs in _feature_set_specs(params, words, sum(map(len, texts)) <= chars_tried).items():
        for spec, weight in specs:
            if spec not in fitted:
                # With many texts, n-grams that occur once or twice say little about other texts.
                min_rows = 1 if len(texts) < 2_000 else 2 if spec.word_max and len(texts) < 5_000 else 3
                block, rows = fit_block(
                    texts, spec, params.min_rows or min_rows, params.most_features or MAX_FEATURES, weight
                )
                cells = (rows.values.astype(np.float64), rows.columns, rows.starts)
                fitted[spec] = block, csr_matrix(cells, (len(texts), rows.width))
        sets[name] = FeatureMatrix(tuple(fitted[spec][1] for spec, _ in specs))
        blocks[name] = tuple(fitted[spec][0] for spec, _ in specs)
    return sets, blocks


def default_word_max(texts: Sequence[str]) -> int:
    """Return the longest word n-gram: two words, or three in scripts where a character is a word.

    Most Chinese words have two characters, so pairs of them take three or four.
    """
    some = "".join(text[:500] for text in texts[:: max(len(texts) // _SCRIPT_ROWS, 1)])
    codes = np.frombuffer(some.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return 3 if len(codes) and is_one_char_word(codes).mean() > 0.5 else 2


def _feature_set_specs(
    params: NgramParams, max_words: int, fits_budget: bool
) -> dict[str, list[tuple[NgramSpec, float]]]:
    words = (NgramSpec(max_words, 0, 0), 1.0)
    with_chars = (NgramSpec(0, *params.chars), params.chars_weight)
    use = fits_budget if params.use_chars is None else params.use_chars
    if not max_words:
        return {"chars": [with_chars]}
    if params.use_chars:
        return {"words+chars": [words, with_chars]}
    return {"words": [words]} | ({"words+chars": [words, with_chars]} if use else {})
