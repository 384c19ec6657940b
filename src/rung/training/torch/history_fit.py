"""Train a network over histories: each event of a user is asked for those that came soon after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.training_params import TrainingParams
from rung.modalities.recommendation.history_params import HistoryParams
from rung.modalities.recommendation.network_scorer import NetworkScorer
from rung.modalities.recommendation.scorers import Moment
from rung.training.recommendation.interactions import Case, Interactions
from rung.training.recommendation.judging import mean
from rung.training.recommendation.popularity import Learned
from rung.training.torch.devices import training_threads
from rung.training.torch.history_networks import HistoryNetwork, ItemTable, SasRec, UserTower
from rung.training.torch.history_onnx import write_history_network
from rung.training.torch.learner import Ints, Learner
from rung.training.torch.module_onnx import array
from rung.training.torch.text_networks import NetworkShape
from rung.training.torch.trainer import History, train

Encoder = Literal["sasrec", "two_tower"]
# Up to so many items every one is a candidate at each event; with more, those asked for and a sample of the others.
MOST_CANDIDATES, _SAMPLED = 8_000, 4_000
# Events of a history that are asked in a step, on average at most: scoring every item is what a step takes its time for.
_ASKED = 24
# Moments of people held out that tell when to stop.
_LENGTHS, _MOST_CASES = (1, 5, 10, 20), 1_500
# Steps of an epoch, at least, as long as a batch keeps a few rows.
_STEPS, _FEWEST_ROWS = 20, 4
# Histories on which the exported graph is compared with the module, and the greatest difference of a vector's number.
_CHECKED, _TOLERANCE = 8, 1e-3


@dataclass(frozen=True)
class Batch:
    """Histories as tensors. items: [rows, events]. later: [rows, events, window], -1 where there is none."""

    items: Tensor
    later: Tensor


class HistoryLearner(Learner):
    """At each event the network is asked which items follow within a window; all of them count alike.

    The score is nDCG@10 at several moments of people held out, a user counting once, as in the certificate.
    """

    def __init__(
        self,
        module: HistoryNetwork,
        people: Interactions,
        params: HistoryParams,
        cases: Sequence[Case],
        seed: int,
    ) -> None:
        self.histories = [person.items for person in people.people if len(person.items) > 1]
        lengths = np.array([min(len(own) - 1, params.most_events) for own in self.histories], np.int64)
        super().__init__(module, lengths, np.ones(len(lengths)))
        self.params, self.cases, self.allowed = params, cases, people.catalogue.available
        self.network, self.draw, self.seed = module, np.random.default_rng((seed, 0x5A5)), seed

    def epoch_ended(self, epoch: int, score: float | None) -> None:
        # Drawn anew from the epoch's number, so that training goes on from a checkpoint as it would have.
        self.draw = np.random.default_rng((self.seed, epoch, 0x5A5))

    def loss(self, rows: Ints) -> Tensor:
        device = self.network.table.bias.device
        batch = _batch([self._window(self.histories[row]) for row in rows], self.params.window)
        items, later = batch.items.to(device), batch.later.to(device)
        users, vectors = self.network(items)
        asked = later[..., 0] >= 0
        users, later = users[asked], later[asked]
        most = _ASKED * len(rows)
        if len(users) > most:
            few = torch.as_tensor(self.draw.choice(len(users), most, replace=False), device=device)
            users, later = users[few], later[few]
        bias = self.network.table.bias
        if len(bias) > MOST_CANDIDATES:
            chosen, place, correction = self._candidates(later, len(bias))
            logits = users @ vectors[chosen].T + bias[chosen] - correction
            later = torch.where(later >= 0, place[later.clamp(min=0)], later)
        else:
            logits = users @ vectors.T + bias
        chances = torch.log_softmax(logits, dim=1)
        there = (later >= 0).float()
        each = -(chances.gather(1, later.clamp(min=0)) * there).sum(dim=1) / there.sum(dim=1)
        # Each user counts once: the mean over the events of a batch, times its users.
        return each.mean() * len(rows)

    def _window(self, own: Ints) -> Ints:
        """Return the events that are read in this epoch, and those that follow: from the beginning, or from anywhere."""
        most = self.params.most_events + self.params.window
        if len(own) <= most:
            return own
        begin = int(self.draw.integers(0, len(own) - most + 1)) if self.draw.random() < 0.5 else 0
        return own[begin : begin + most]

    def _candidates(self, later: Tensor, items: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the items of a sampled softmax, the place of each among them, and the log of how likely each was drawn."""
        wanted = torch.unique(later[later >= 0])
        drawn = torch.as_tensor(self.draw.choice(items, _SAMPLED, replace=False), device=later.device)
        chosen = torch.unique(torch.cat([wanted, drawn]))
        place = torch.full((items,), -1, dtype=torch.int64, device=later.device)
        place[chosen] = torch.arange(len(chosen), device=later.device)
        # Items asked for are there for certain, the others stand for all that were not drawn.
        correction = torch.full((len(chosen),), float(np.log(_SAMPLED / items)), device=later.device)
        correction[place[wanted]] = 0.0
        return chosen, place, correction

    def score(self) -> float | None:
        if not self.cases:
            return None
        vectors, bias = self.network.table.vectors(), self.network.table.bias

        def scores(moment: Moment) -> npt.NDArray[np.float64]:
            read = torch.as_tensor(moment.items[None, -self.params.most_events :], device=bias.device)
            user = self.network.encoder(vectors[read])[0, -1]
            return array(vectors @ user + bias).astype(np.float64)

        return mean(scores, self.cases, self.allowed)


def _batch(histories: Sequence[Ints], window: int) -> Batch:
    """Return histories padded behind their end; no event sees what comes after it, so padding changes nothing."""
    width = max(len(own) for own in histories) - 1
    items = np.zeros((len(histories), width), np.int64)
    later = np.full((len(histories), width + window), -1, np.int64)
    for row, own in enumerate(histories):
        items[row, : len(own) - 1] = own[:-1]
        later[row, : len(own) - 1] = own[1:]
    after = np.lib.stride_tricks.sliding_window_view(later, window, axis=1)[:, :width]
    return Batch(torch.as_tensor(items), torch.as_tensor(np.ascontiguousarray(after)))


def fit_history_network(
    encoder: Encoder,
    found: Learned,
    content: npt.NDArray[np.float32] | None,
    params: HistoryParams,
    context: FitContext,
) -> tuple[NetworkScorer, dict[str, Any]]:
    """Return the trained network as a scorer, and what was chosen.

    Stopped early on a fifth of the people, then trained again on all of them for as many epochs as were best. content: [items,
    width] for the table of items, or None. Raises RungError where `heads` does not divide `width`, and what `train` raises.
    """
    if params.width % params.heads:
        raise RungError(
            f"heads is {params.heads}, which does not divide the width {params.width}", "heads", "Try 2 or 4."
        )
    learn, test = found.people.halves()
    cases = _cases(test, context.seed)
    first, history = _trained(encoder, learn, content, params, cases, _scratch(context, "first"))
    fixed = replace(params, epochs=max(history.best_epoch, 1), patience=0, learning_rate=history.rate)
    module, _ = _trained(encoder, found.people, content, fixed, (), _scratch(context, "all"))
    scorer = _exported(encoder, module, found.people, params)
    chosen = {
        "epochs": history.best_epoch, "learning_rate": history.rate, "validation_score": round(max(history.scores, default=0.0), 4),
        "parameters": sum(p.numel() for p in module.parameters()), "training": history.by_epoch(),
    }  # fmt: skip
    return scorer, chosen


def _cases(test: Interactions, seed: int) -> list[Case]:
    cases = test.cases(_LENGTHS)
    if len(cases) <= _MOST_CASES:
        return cases
    people = np.random.default_rng((seed, 0xCA5E)).permutation(len(test.people))
    few = {int(person) for person in people[: max(_MOST_CASES // (len(_LENGTHS) + 1), 1)]}
    return [case for case in cases if case.person in few]


def _trained(
    encoder: Encoder, people: Interactions, content: npt.NDArray[np.float32] | None, params: HistoryParams, cases: Sequence[Case],
    context: FitContext,
) -> tuple[HistoryNetwork, History]:  # fmt: skip
    shape = NetworkShape(
        "transformer", len(people.catalogue), 0, params.width, params.hidden, params.layers, params.heads,
        params.most_events + params.window, params.dropout,
    )  # fmt: skip
    counts = people.counts
    with training_threads(context.threads, context.seed):
        table = ItemTable(params.width, counts / max(float(counts.sum()), 1.0), content)
        module = HistoryNetwork(
            table, SasRec(shape) if encoder == "sasrec" else UserTower(shape), params.dropout
        )
    learner = HistoryLearner(module, people, params, cases, context.seed)
    plain = TrainingParams(**{field.name: getattr(params, field.name) for field in fields(TrainingParams)})
    # Few people would make an epoch of a single step, and patience is counted in epochs.
    plain = replace(
        plain, batch_rows=min(plain.batch_rows, max(len(learner.histories) // _STEPS, _FEWEST_ROWS))
    )
    history = train(learner, plain, context)
    return module.cpu(), history


@torch.no_grad()
def _exported(
    encoder: Encoder, module: HistoryNetwork, people: Interactions, params: HistoryParams
) -> NetworkScorer:
    """Return the scorer, its vectors in half precision; raises RungError where the graph answers unlike the module."""
    module.eval()
    vectors = array(module.table.vectors()).astype(np.float16)
    content = write_history_network(module.encoder, params.width)
    scorer = NetworkScorer(content, vectors, array(module.table.bias), params.most_events, encoder)
    wide = torch.as_tensor(vectors.astype(np.float32))
    for person in people.people[:_CHECKED]:
        items = person.items[None, -params.most_events :]
        expected = array(module.encoder(wide[torch.as_tensor(items)]))[0, -1]
        found = scorer.users(items)[0]
        apart = float(np.abs(found - expected).max())
        if apart > _TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise RungError(
                f"the exported network differs from the trained one by {apart:.2g}", encoder, "Report this."
            )
    return scorer


def _scratch(context: FitContext, name: str) -> FitContext:
    return context if context.scratch is None else replace(context, scratch=context.scratch / name)
