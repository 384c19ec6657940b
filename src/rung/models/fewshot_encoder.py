"""A sentence encoder tuned on few rows by comparing them with each other, with a linear head."""

from __future__ import annotations

from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.fewshot_params import FewshotParams
from rung.modalities.text.network_model import NetworkModel

# Training in float32 on two rows at a time, forwards and backwards, as a multiple of an answer in 8 bits.
_TIMES_ANSWER = 16.0


class FewshotEncoder(NetworkModel):
    """Use it with 4 to 50 rows a label: it learns from how rows compare, so few go a long way."""

    TASKS = frozenset({"text_classification"})
    Params = FewshotParams

    @classmethod
    def unavailable(cls, facts: DataFacts, params: FewshotParams, context: FitContext) -> RungError | None:
        from rung.training.text.encoders import missing_weights

        return cls.missing_packages() or missing_weights(params.weights, facts.sample)

    @classmethod
    def fit(cls, examples: Examples, params: FewshotParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.encoder_fewshot import fit_fewshot

        found = fit_fewshot(examples, params, context)
        return cls(examples.schema.labels, found.files, found.calibration, found.chosen)

    @classmethod
    def cost(cls, facts: DataFacts, params: FewshotParams, context: FitContext) -> Cost:
        from rung.training.text.encoders import encoder_size_mb, encoding_seconds, resolve_encoder

        name = resolve_encoder(params.weights, facts.sample)
        each = encoding_seconds(name, facts.chars_per_row)
        drawn = min(facts.rows, params.most_drawn) * params.epochs
        size = encoder_size_mb(name)
        fit = 8.0 + facts.rows * each + drawn * each * _TIMES_ANSWER
        return Cost(fit, each * 1000, 1200 + 3 * size, size, facts.rows * each)
