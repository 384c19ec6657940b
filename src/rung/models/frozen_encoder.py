"""A frozen sentence encoder with a trained linear head: meaning instead of words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.embedding_model import EmbeddingModel
from rung.modalities.text.ngrams import join_fields

# Of the search and the fit of a head, a row and a label.
_HEAD_SECONDS = 2e-4


@dataclass(frozen=True)
class FrozenEncoderParams:
    """Parameters.

    weights: a name of `rung weights`, hub:owner/model, file:folder; or auto: minilm for English, else
    e5_small; or auto_large: bge_small for English. pool_chunks: read long texts completely, in chunks; None
    is chosen on training rows. most_rows: training rows at most; None depends on the effort.
    """

    weights: str = "auto"
    pool_chunks: bool | None = None
    head: Literal["auto", "svc", "ridge", "logistic"] = "auto"
    c: float | None = None
    most_rows: int | None = None


class FrozenEncoder(EmbeddingModel):
    """Use it when rows are few or wordings vary: it knows that "fare" and "ticket price" are similar."""

    NEEDS = "build"
    PACKAGES = ("sklearn", "scipy", "onnx")
    TASKS = frozenset({"text_classification", "text_multilabel"})
    Params = FrozenEncoderParams

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: FrozenEncoderParams, context: FitContext
    ) -> RungError | None:
        from rung.training.text.encoders import missing_weights

        return missing_weights(params.weights, facts.sample)

    @classmethod
    def fit(cls, examples: Examples, params: FrozenEncoderParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.linear.feature_matrix import FeatureMatrix
        from rung.training.linear.label_sets import codes_of, search_and_fit_classes
        from rung.training.linear.search import candidate_heads
        from rung.training.text.encoders import open_encoder, training_sample

        examples = training_sample(examples, params.most_rows, context)
        texts = join_fields(examples.inputs)
        labels, codes = examples.schema.classes, codes_of(examples.targets, examples.schema)
        heads = candidate_heads(params.head, params.c, context.effort, dense=True)
        name, embedder = open_encoder(params.weights, texts)
        embedders = {"first": embedder}
        long = np.mean([len(text) > embedder.engine.config.max_tokens * 5 for text in texts])
        if params.pool_chunks or (params.pool_chunks is None and long > 0.2 and context.effort >= 3):
            embedders["chunks"] = open_encoder(params.weights, texts, pool_chunks=True)[1]
        if params.pool_chunks:
            del embedders["first"]
        sets = {key: FeatureMatrix((e.embed(texts).astype(np.float64),)) for key, e in embedders.items()}
        key, head, summary = search_and_fit_classes(sets, codes, labels, heads, context)
        chosen = {"weights": name, "rows": len(examples), **summary}
        return cls(labels, (), embedders[key], head, chosen)

    @classmethod
    def cost(cls, facts: DataFacts, params: FrozenEncoderParams, context: FitContext) -> Cost:
        from rung.training.text.encoders import MAX_ROWS, encoder_size_mb, encoding_seconds, resolve_encoder

        name = resolve_encoder(params.weights, facts.sample)
        each = encoding_seconds(name, facts.chars_per_row)
        size = encoder_size_mb(name)
        rows = min(facts.rows, MAX_ROWS[context.effort])
        encoding, head = rows * each, rows * facts.labels * _HEAD_SECONDS
        return Cost(2.0 + encoding + head, each * 1000, 120 + 3 * size, size, cached_seconds=encoding)
