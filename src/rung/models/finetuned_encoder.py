"""A sentence encoder whose own weights are trained on the rows, with a linear head."""

from __future__ import annotations

from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.finetuning_params import FinetuningParams
from rung.modalities.text.network_model import NetworkModel

# Training in float32, forwards and backwards, takes this many times an answer in 8 bits.
_TIMES_ANSWER = 8.0


class FinetunedEncoder(NetworkModel):
    """Use it where a frozen encoder and n-grams stay below the bar: it learns what your labels mean, in minutes."""

    Params = FinetuningParams
    VALIDATION_SHARE = 0.1

    @classmethod
    def unavailable(cls, facts: DataFacts, params: FinetuningParams, context: FitContext) -> RungError | None:
        from rung.training.text.encoders import missing_weights

        return cls.missing_packages() or missing_weights(params.weights, facts.sample)

    @classmethod
    def fit(cls, examples: Examples, params: FinetuningParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.encoder_finetune import finetune

        found = finetune(examples, params, context)
        return cls(examples.schema.classes, found.files, found.calibration, found.chosen)

    @classmethod
    def cost(cls, facts: DataFacts, params: FinetuningParams, context: FitContext) -> Cost:
        from rung.training.text.encoders import MAX_ROWS, encoder_size_mb, encoding_seconds, resolve_encoder

        name = resolve_encoder(params.weights, facts.sample)
        each = encoding_seconds(name, facts.chars_per_row)
        rows = min(facts.rows, params.most_rows or MAX_ROWS[context.effort])
        training = rows * each * params.epochs * _TIMES_ANSWER * (2.0 if params.refit else 1.0)
        size = encoder_size_mb(name)
        return Cost(8.0 + rows * each + training, each * 1000, 1200 + 3 * size, size, rows * each)
