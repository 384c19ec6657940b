"""N-grams kept during a build: the same numbers as counted anew, and no more than there is room for."""

import random

import numpy as np

from rung.modalities.text.ngram_cache import NgramCache, ngram_cache, use_ngram_cache
from rung.modalities.text.ngrams import NgramSpec
from rung.modalities.text.tfidf import fit_block, transform

SPECS = (NgramSpec(2, 0, 0), NgramSpec(0, 2, 5))


def texts(count, seed=0):
    rng = random.Random(seed)
    words = ["the", "market", "rose", "球队", "赢了", "", "a", "goal", "late", "é"]
    return [" ".join(rng.choice(words) for _ in range(rng.randrange(40))) for _ in range(count)]


def numbers(given, spec):
    block, rows = fit_block(given, spec, 1, 10_000, 0.7)
    asked = transform(texts(50, seed=1) + given[:20], (block,))
    return [
        block.buckets,
        block.idf,
        *(part for one in (rows, asked) for part in (one.starts, one.columns, one.values)),
    ]


def test_kept_ngrams_give_the_same_numbers_bit_by_bit():
    given = texts(300)
    for spec in SPECS:
        expected = numbers(given, spec)
        with use_ngram_cache():
            for _ in range(2):
                found = numbers(given, spec)
                assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
                assert [a.dtype for a in expected] == [b.dtype for b in found]
    assert ngram_cache() is None


def test_what_does_not_fit_is_not_kept():
    cache, spec = NgramCache(most=5), SPECS[0]
    three = np.zeros(3, np.int32), np.zeros(3, np.float32)
    cache.put(spec, "first", three)
    cache.put(spec, "second", three)
    assert cache.get(spec, "first") is three and cache.get(spec, "second") is None
    assert cache.get(SPECS[1], "first") is None
