"""Fit an encoder and a decoder: one LSTM reads prompts, another writes their texts; trained, exported as two graphs, compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_writer import LanguageParams
from rung.modalities.text.pair_language import PairNetwork
from rung.modalities.text.token_units import MARK, START, TokenUnits
from rung.training.text.language_rows import TextPairs
from rung.training.torch.batching import pad
from rung.training.torch.language_fit import CHECKED, LanguageLearner, NetworkKind, fit_network, require_same
from rung.training.torch.language_networks import PairLanguage
from rung.training.torch.learner import Ints
from rung.training.torch.pair_onnx import write_pair


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
    """Return the model trained on these rows, its temperature and what was chosen; see `language_fit.fit_network`."""
    # Prompts are read, not learned.
    kind = NetworkKind(PairLanguage, partial(PairLearner, prompt_weight=0.0), _exported)
    return fit_network(kind, examples, params, context)


@torch.no_grad()
def _exported(module: PairLanguage, units: TokenUnits, learn: TextPairs) -> PairNetwork:
    """Return the exported networks; raises RungError where they answer unlike the module."""
    language = PairNetwork(units, *write_pair(module))
    for prompt, text in list(zip(learn.prompts, learn.texts, strict=True))[:CHECKED]:
        state, ids = language.begin(prompt[-60:]), units.encode(text[:20])
        for unit in ids:
            state = language.after(state, unit)
        read = torch.as_tensor([[START, *units.encode(prompt[-60:])]])
        expected = module(read, torch.as_tensor([read.shape[1]]), torch.as_tensor([[MARK, *ids]]))[0, -1]
        require_same(state.logits, expected.numpy(), "seq2seq")
    return language
