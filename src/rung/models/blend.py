"""N-grams and a sentence encoder combined in one linear head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.embedding_model import EmbeddingModel
from rung.modalities.text.ngrams import join_fields, normalize_text
from rung.runtime.linear.head import LinearHead

# Standard deviation of the encoder's vectors relative to n-grams of length 1: encoders differ in it, the best
# value hardly does.
_WEIGHTS = {0: (0.6,), 1: (0.6,), 2: (0.55, 0.85)}
# Rows of both parts together are longer than 1.
_C_DIVISOR = 3.0
# Characters of training text up to which character n-grams are added to words, by effort: more than without
# an encoder, which takes far longer anyway.
_CHARS_TRIED = {0: 0, 1: 0, 2: 20_000_000, 3: 60_000_000, 4: 200_000_000, 5: 200_000_000}
# N-grams of each kind to keep, from a number of rows on: more rows support more of them (20 newsgroups: 0.8
# points).
_FEATURES = {0: 60_000, 5_000: 150_000}


@dataclass(frozen=True)
class BlendParams:
    """Parameters; None and "auto" are searched on training rows within the effort.

    weights: as for frozen_encoder. encoder_weight: standard deviation of the encoder's vectors relative to
    n-grams of length 1. most_rows: training rows at most; None depends on the effort. most_features: n-grams
    of each kind; None depends on the rows. words: longest word n-gram; None: two, or three in scripts where a
    character is a word. by_label: weight n-grams by how differently two labels use them, if that gains.
    curved: replace the encoder's vectors by a Nystroem kernel map, for non-linear borders; None: with many
    rows, if held-out rows are predicted no worse.
    """

    weights: str = "auto"
    encoder_weight: float | None = None
    words: int | None = None
    chars: tuple[int, int] = (2, 5)
    use_chars: bool | None = None
    chars_weight: float = 1.0
    head: Literal["auto", "svc", "ridge", "logistic"] = "auto"
    c: float | None = None
    most_rows: int | None = None
    min_rows: int | None = None
    most_features: int | None = None
    by_label: bool = True
    curved: bool | None = None


class Blend(EmbeddingModel):
    """Use it for the last points of accuracy on a laptop: it is rarely worse than the better of its parts."""

    NEEDS = "build"
    PACKAGES = ("sklearn", "scipy", "onnx")
    TASKS = frozenset({"text_classification"})
    Params = BlendParams
    VARIANTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"large": {"weights": "auto_large"}}

    @classmethod
    def unavailable(cls, facts: DataFacts, params: BlendParams, context: FitContext) -> RungError | None:
        from rung.training.text.encoders import missing_weights

        return missing_weights(params.weights, facts.sample)

    @classmethod
    def fit(cls, examples: Examples, params: BlendParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.linear.feature_matrix import FeatureMatrix
        from rung.training.linear.nystroem_search import search_nystroem
        from rung.training.linear.search import (
            candidate_heads,
            encode_labels,
            fit_head,
            search,
            search_summary,
        )
        from rung.training.text.encoders import open_encoder, training_sample
        from rung.training.text.ngram_candidates import ngram_feature_sets
        from rung.training.text.term_weighting import weight_terms_by_label

        examples = training_sample(examples, params.most_rows, context)
        texts = join_fields(examples.inputs)
        labels = examples.schema.labels
        codes = encode_labels(examples.targets, labels)
        name, embedder = open_encoder(params.weights, texts)
        vectors = embedder.embed(texts).astype(np.float64)
        params = replace(params, most_features=_max_features(params, len(texts)))
        ngrams, blocks = ngram_feature_sets(
            [normalize_text(text) for text in texts], params, _CHARS_TRIED[context.effort]
        )
        features = list(ngrams)[-1]
        usual = _WEIGHTS.get(context.effort, (0.4, 0.55, 0.7, 0.85, 1.1))
        factors = (params.encoder_weight,) if params.encoder_weight else usual
        deviation = float(np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())) or 1.0
        sets = {
            f"{features}+{f:g}*{name}": FeatureMatrix((*ngrams[features].blocks, (f / deviation) * vectors))
            for f in factors
        }
        heads = candidate_heads(params.head, params.c, context.effort, c_divisor=_C_DIVISOR)
        if context.effort <= 2:
            # Ridge is solved for all labels at once. An SVC over a thousand dense columns takes ten times as
            # long and won on none of the benchmark datasets.
            heads = [pair for pair in heads if pair[0] == "ridge"] or heads
        found = search(sets, codes, len(labels), heads, context)
        key = found.candidate.features
        factor = dict(zip(sets, factors, strict=True))[key] / deviation
        matrix, used = sets.pop(key), blocks[features]
        sets.clear()  # Each set holds a copy of all vectors.
        kernel = search_nystroem(matrix, vectors, codes, found, params.curved, context, _strengths(params))
        if kernel:
            matrix, found = kernel.matrix, kernel.found
        weighted = weight_terms_by_label(matrix, used, codes, found, context) if params.by_label else None
        if weighted:
            matrix, used, found = weighted.matrix, weighted.blocks, weighted.found
        head = fit_head(matrix, codes, len(labels), found, context)
        head = kernel.map_to_kernel(head) if kernel else _scaled(head, embedder.width, factor)
        chosen = {
            "weights": name,
            "rows": len(examples),
            **search_summary(found, head),
            "by_label": weighted is not None,
            "curved": kernel is not None,
        }
        return cls(labels, used, embedder, head, chosen, kernel.nystroem if kernel else None)

    @classmethod
    def cost(cls, facts: DataFacts, params: BlendParams, context: FitContext) -> Cost:
        from rung.training.text.encoders import MAX_ROWS, encoder_size_mb, encoding_seconds, resolve_encoder

        name = resolve_encoder(params.weights, facts.sample)
        encoding = encoding_seconds(name, facts.chars_per_row)
        each = encoding + 2e-4 + facts.chars_per_row * 9e-7
        size = (
            encoder_size_mb(name)
            + min(2 * _max_features(params, facts.rows), facts.rows * 50) * facts.labels * 4e-6
        )
        rows = min(facts.rows, MAX_ROWS[context.effort])
        fit = 3.0 + rows * (each + 1e-3)
        return Cost(fit, each * 1000, 200 + 3 * size, size, cached_seconds=rows * encoding)


def _scaled(head: LinearHead, width: int, factor: float) -> LinearHead:
    """Return the head with its last `width` weights multiplied by a factor, to be used on unscaled vectors."""
    weights = head.weights.copy()
    weights[-width:] *= factor
    return LinearHead(weights, head.bias, head.calibration)


def _strengths(params: BlendParams) -> tuple[float, ...]:
    """Return the values of C to try with closeness: the one set by hand, else the usual ones."""
    return () if params.c is None else (params.c,)


def _max_features(params: BlendParams, rows: int) -> int:
    """Return the maximum number of n-grams of each kind."""
    return params.most_features or max(kept for least, kept in _FEATURES.items() if rows >= least)
