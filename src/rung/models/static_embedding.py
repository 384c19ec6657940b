"""Mean of static token vectors with a linear head: an encoder's idea at the price of a word list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.core.unavailable import Unavailable
from rung.modalities.text.embedder import is_english, open_embedder
from rung.modalities.text.embedding_model import EmbeddingModel
from rung.modalities.text.ngrams import join_fields
from rung.runtime.weights.store import weights_folder

# Of the search and the fit of a head, a row and a label.
_HEAD_SECONDS = 1e-4


@dataclass(frozen=True)
class StaticEmbeddingParams:
    """Parameters. weights: a name of `rung weights` or file:folder. most_rows: training rows at most; None
    depends on the effort.
    """

    weights: str = "wordllama"
    head: Literal["auto", "svc", "ridge", "logistic"] = "auto"
    c: float | None = None
    most_rows: int | None = None


class StaticEmbedding(EmbeddingModel):
    """Use it for English when thousands of predictions a second matter more than the last points of accuracy."""

    NEEDS = "build"
    PACKAGES = ("sklearn", "scipy")
    TASKS = frozenset({"text_classification", "text_multilabel"})
    Params = StaticEmbeddingParams

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: StaticEmbeddingParams, context: FitContext
    ) -> RungError | None:
        from rung.training.text.encoders import missing_weights

        if params == StaticEmbeddingParams() and facts.sample and not is_english(facts.sample):
            return Unavailable("english_only", "static_embedding")
        return missing_weights(params.weights)

    @classmethod
    def fit(cls, examples: Examples, params: StaticEmbeddingParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.linear.feature_matrix import FeatureMatrix
        from rung.training.linear.label_sets import codes_of, search_and_fit_classes
        from rung.training.linear.search import candidate_heads
        from rung.training.text.encoders import MAX_ROWS, training_sample

        examples = training_sample(examples, params.most_rows or 10 * MAX_ROWS[context.effort], context)
        texts = join_fields(examples.inputs)
        labels, codes = examples.schema.classes, codes_of(examples.targets, examples.schema)
        embedder = open_embedder("static", weights_folder(params.weights))
        sets = {"mean": FeatureMatrix((embedder.embed(texts).astype(np.float64),))}
        heads = candidate_heads(params.head, params.c, context.effort, dense=True)
        _, head, summary = search_and_fit_classes(sets, codes, labels, heads, context)
        chosen = {"weights": params.weights, "rows": len(examples), **summary}
        return cls(labels, (), embedder, head, chosen)

    @classmethod
    def cost(cls, facts: DataFacts, params: StaticEmbeddingParams, context: FitContext) -> Cost:
        each = 3e-5 + facts.chars_per_row * 1.5e-7
        fit = 1.0 + facts.rows * (each + 3e-5 + facts.labels * _HEAD_SECONDS)
        return Cost(fit, each * 1000, 150.0, 18.5)
