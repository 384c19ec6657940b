"""Fit a language model from scratch: units, training, temperature, export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.training_params import TrainingParams
from rung.core.types import Examples
from rung.modalities.text.network_language import NetworkLanguage
from rung.modalities.text.network_writer import LanguageParams
from rung.modalities.text.token_units import MARK, START, TokenUnits
from rung.modalities.text.writer import TextFinisher
from rung.training.text.language_rows import TextPairs, units_for
from rung.training.text.temperature_search import bits_per_character, choose_temperature
from rung.training.torch.batching import pad
from rung.training.torch.devices import training_threads
from rung.training.torch.language_networks import (
    Architecture,
    LanguageShape,
    LstmLanguage,
    TransformerLanguage,
    make_language,
)
from rung.training.torch.language_onnx import write_language
from rung.training.torch.learner import Ints, Learner
from rung.training.torch.trainer import History, train

Module = TypeVar("Module", bound=nn.Module)
Language = TypeVar("Language", bound=NetworkLanguage)
# Rows on which the exported file is compared with the module, and the greatest difference of a logit. Rows that tell when to stop.
CHECKED, _TOLERANCE, _SCORED = 4, 1e-3, 300
# Steps of an epoch, about, as long as a batch keeps a few rows.
_STEPS = 200


class LanguageLearner(Learner):
    """At each unit the network is asked for the next one. The score is minus the mean bits of a unit of a text, on rows held out."""

    def __init__(
        self,
        module: nn.Module,
        rows: Sequence[Ints],
        held: Sequence[Ints],
        prompt_weight: float,
    ) -> None:
        """rows, held: units of each row, from its start to its end."""
        self.rows, self.held, self.prompt_weight = rows, held[:_SCORED], prompt_weight
        lengths = np.array([len(row) - 1 for row in rows], np.int64)
        super().__init__(module, lengths, np.array([float(self._weights(row).sum()) for row in rows]))

    def loss(self, rows: Ints) -> Tensor:
        return self._loss([self.rows[row] for row in rows], self.prompt_weight)

    def score(self) -> float | None:
        if not self.held:
            return None
        total = units = 0.0
        for start in range(0, len(self.held), 16):
            own = self.held[start : start + 16]
            total += float(self._loss(own, 0.0))
            units += sum(float(self._weights(row, 0.0).sum()) for row in own)
        return -total / max(units, 1.0) / float(np.log(2.0))

    def _weights(self, row: Ints, of_prompt: float | None = None) -> Ints:
        """Return the weight of each unit to be told: those behind the mark count 1, those of the prompt less."""
        is_text = np.cumsum(row == MARK)[:-1] > 0
        return np.where(is_text, 1.0, self.prompt_weight if of_prompt is None else of_prompt)

    def _loss(self, rows: list[Ints] | Sequence[Ints], of_prompt: float) -> Tensor:
        device = next(self.module.parameters()).device
        ids, mask = pad(list(rows))
        weights = np.zeros(ids[:, 1:].shape, np.float32)
        for place, row in enumerate(rows):
            weights[place, : len(row) - 1] = self._weights(row, of_prompt)
        told = torch.as_tensor(ids[:, 1:], device=device)
        logits = self.module(torch.as_tensor(ids[:, :-1], device=device))
        each = functional.cross_entropy(logits.flatten(0, 1), told.flatten(), reduction="none")
        return (each * torch.as_tensor(weights, device=device).flatten()).sum()


@dataclass(frozen=True)
class NetworkKind(Generic[Module, Language]):
    """What differs between kinds of networks. make: from a shape. learner: from the module and the rows to learn from and held out.

    exported: from the module, its units and the pairs it learned from; raises RungError where it answers unlike the module.
    """

    make: Callable[[LanguageShape], Module]
    learner: Callable[[Module, Sequence[Ints], Sequence[Ints]], Learner]
    exported: Callable[[Module, TokenUnits, TextPairs], Language]


def fit_language(
    architecture: Architecture, examples: Examples, params: LanguageParams, context: FitContext
) -> tuple[NetworkLanguage, float, dict[str, Any]]:
    """Return the language model trained on these rows, its temperature and what was chosen; see `fit_network`."""
    kind = NetworkKind(
        partial(make_language, architecture),
        partial(LanguageLearner, prompt_weight=params.prompt_weight),
        partial(_exported, architecture),
    )
    return fit_network(kind, examples, params, context)


def fit_network(
    kind: NetworkKind[Module, Language], examples: Examples, params: LanguageParams, context: FitContext
) -> tuple[Language, float, dict[str, Any]]:
    """Return the network trained on these rows, its temperature and what was chosen.

    Training stops early, and temperature and bits per character are found, on `context.validation`; raises what `train` raises.
    """
    finisher = TextFinisher(examples.schema, None, "")
    learn = TextPairs.of(examples, finisher)
    held = context.validation if context.validation is not None else examples.take([])
    own = TextPairs.of(held, finisher)
    units = units_for(learn, params.unit, params.vocabulary_size)
    module, history = _trained(kind, (units, learn, own), params, context)
    language = kind.exported(module, units, learn)
    temperature, scores = choose_temperature(language, held, finisher, context)
    chosen: dict[str, Any] = {
        "unit": units.unit, "units": len(units), "parameters": sum(p.numel() for p in module.parameters()),
        "epochs": history.best_epoch, "learning_rate": history.rate, "temperatures": scores, "training": history.by_epoch(),
    }  # fmt: skip
    return language, temperature, chosen | (bits_per_character(language, own) if len(held) else {})


def _trained(
    kind: NetworkKind[Module, Any],
    rows: tuple[TokenUnits, TextPairs, TextPairs],
    params: LanguageParams,
    context: FitContext,
) -> tuple[Module, History]:
    units, learn, own = rows
    shape = LanguageShape(
        len(units), params.width, params.hidden, params.layers, params.heads, params.most_units, params.dropout
    )  # fmt: skip
    with training_threads(context.threads, context.seed):
        module = kind.make(shape)
    parts = [
        [shortened_row(np.array(row, np.int64), params.most_units) for row in pairs.documents(units)]
        for pairs in (learn, own)
    ]
    learner = kind.learner(module, parts[0], parts[1])
    plain = TrainingParams(**{field.name: getattr(params, field.name) for field in fields(TrainingParams)})
    # Few rows would make an epoch of a few steps.
    plain = replace(plain, batch_rows=min(plain.batch_rows, max(len(parts[0]) // _STEPS, 4)))
    history = train(learner, plain, context)
    return module.cpu().eval(), history


def shortened_row(row: Ints, most: int) -> Ints:
    """Return at most so many units of a row: where it is too long, the prompt loses its beginning first, then the text its end."""
    if len(row) <= most:
        return row
    mark = int(np.flatnonzero(row == MARK)[0])
    kept = min(mark - 1, max(most - 2 - (len(row) - mark - 1), most // 4))
    return np.concatenate([row[:1], row[mark - kept : mark], row[mark:]])[:most]


@torch.no_grad()
def _exported(
    architecture: Architecture,
    module: LstmLanguage | TransformerLanguage,
    units: TokenUnits,
    learn: TextPairs,
) -> NetworkLanguage:
    """Return the exported network; raises RungError where it answers unlike the module."""
    content, memory = write_language(module)
    language = NetworkLanguage(units, content, memory)
    for prompt, text in list(zip(learn.prompts, learn.texts, strict=True))[:CHECKED]:
        state = language.begin(prompt[-60:])
        ids = [*(state.ids or ()), *units.encode(text[:20])]
        for unit in units.encode(text[:20]):
            state = language.after(state, unit)
        ids = ids if memory.most else [START, *units.encode(prompt[-60:]), MARK, *units.encode(text[:20])]
        expected = module(torch.as_tensor([ids]))[0, -1].numpy()
        require_same(state.logits, expected, architecture)
    return language


def require_same(found: Any, expected: Any, name: str) -> None:
    """Raise RungError where logits of an exported network are not those of the trained one. name: of its architecture."""
    apart = float(np.abs(found - expected).max())
    if apart > _TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise RungError(
            f"the exported network differs from the trained one by {apart:.2g}", name, "Report this."
        )
