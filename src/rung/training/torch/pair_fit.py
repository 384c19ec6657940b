"""Fit an encoder and a decoder: one LSTM reads prompts, another writes their texts; trained, exported as two graphs, compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.training_params import TrainingParams
from rung.core.types import Examples
from rung.modalities.text.network_writer import LanguageParams
from rung.modalities.text.pair_language import PairNetwork
from rung.modalities.text.token_units import MARK, START, TokenUnits
from rung.modalities.text.writer import TextFinisher
from rung.training.text.language_rows import TextPairs, units_for
from rung.training.text.temperature_search import bits_per_character, choose_temperature
from rung.training.torch.batching import pad
from rung.training.torch.devices import training_threads
from rung.training.torch.language_fit import STEPS, LanguageLearner, shortened_row
from rung.training.torch.language_networks import LanguageShape, PairLanguage
from rung.training.torch.learner import Ints
from rung.training.torch.pair_onnx import write_pair
from rung.training.torch.trainer import History, train

# Rows on which the exported graphs are compared with the module, and the greatest difference of a logit.
_CHECKED, _TOLERANCE = 4, 1e-3


class PairLearner(LanguageLearner):
    """Each unit of a text is told from those before it and from the whole prompt."""

    def _loss(self, rows: Sequence[Ints], of_prompt: float) -> Tensor:
        device = next(self.module.parameters()).device
        marks = [int(np.flatnonzero(row == MARK)[0]) for row in rows]
        prompts, _ = pad([row[:mark] for row, mark in zip(rows, marks, strict=True)])
        texts, is_text = pad([row[mark:] for row, mark in zip(rows, marks, strict=True)])
        logits = self.module(
            torch.as_tensor(prompts, device=device),
            torch.as_tensor(marks, device=device),
            torch.as_tensor(texts[:, :-1], device=device),
        )
        told = torch.as_tensor(texts[:, 1:], device=device)
        each = functional.cross_entropy(logits.flatten(0, 1), told.flatten(), reduction="none")
        return (each * torch.as_tensor(is_text[:, 1:], device=device).flatten()).sum()


def fit_pair(
    examples: Examples, params: LanguageParams, context: FitContext
) -> tuple[PairNetwork, float, dict[str, Any]]:
    """Return the model trained on these rows, its temperature and what was chosen; see `language_fit.fit_language`."""
    finisher = TextFinisher(examples.schema, None, "")
    learn = TextPairs.of(examples, finisher)
    held = context.validation if context.validation is not None else examples.take([])
    own = TextPairs.of(held, finisher)
    units = units_for(learn, params.unit, params.vocabulary_size)
    module, history = _trained((units, learn, own), params, context)
    language = _exported(module, units, learn)
    temperature, scores = choose_temperature(language, held, finisher, context)
    chosen: dict[str, Any] = {
        "unit": units.unit, "units": len(units), "parameters": sum(p.numel() for p in module.parameters()),
        "epochs": history.best_epoch, "learning_rate": history.rate, "temperatures": scores, "training": history.by_epoch(),
    }  # fmt: skip
    return language, temperature, chosen | (bits_per_character(language, own) if len(held) else {})


def _trained(
    rows: tuple[TokenUnits, TextPairs, TextPairs], params: LanguageParams, context: FitContext
) -> tuple[PairLanguage, History]:
    units, learn, own = rows
    shape = LanguageShape(
        len(units), params.width, params.hidden, params.layers, params.heads, params.most_units, params.dropout
    )  # fmt: skip
    with training_threads(context.threads, context.seed):
        module = PairLanguage(shape)
    parts = [
        [shortened_row(np.array(row, np.int64), params.most_units) for row in pairs.documents(units)]
        for pairs in (learn, own)
    ]
    # Prompts are read, not learned.
    learner = PairLearner(module, parts[0], parts[1], 0.0)
    plain = TrainingParams(**{field.name: getattr(params, field.name) for field in fields(TrainingParams)})
    plain = replace(plain, batch_rows=min(plain.batch_rows, max(len(parts[0]) // STEPS, 4)))
    history = train(learner, plain, context)
    return module.cpu().eval(), history


@torch.no_grad()
def _exported(module: PairLanguage, units: TokenUnits, learn: TextPairs) -> PairNetwork:
    """Return the exported networks; raises RungError where they answer unlike the module."""
    language = PairNetwork(units, *write_pair(module))
    for prompt, text in list(zip(learn.prompts, learn.texts, strict=True))[:_CHECKED]:
        state, ids = language.begin(prompt[-60:]), units.encode(text[:20])
        for unit in ids:
            state = language.after(state, unit)
        read = torch.as_tensor([[START, *units.encode(prompt[-60:])]])
        expected = module(read, torch.as_tensor([read.shape[1]]), torch.as_tensor([[MARK, *ids]]))[0, -1]
        apart = float(np.abs(state.logits - expected.numpy()).max())
        if apart > _TOLERANCE * max(1.0, float(expected.abs().max())):
            raise RungError(
                f"the exported network differs from the trained one by {apart:.2g}", "seq2seq", "Report this."
            )
    return language
