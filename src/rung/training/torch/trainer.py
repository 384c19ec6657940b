"""The training loop: batches, gradients, steps, validation, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rung.core.errors import FitCancelled, RungError
from rung.core.model import FitContext
from rung.core.training_params import TrainingParams
from rung.training.torch.batching import Ints, plan_batches
from rung.training.torch.checkpoints import (
    load_checkpoint,
    load_optimizer,
    optimizer_tensors,
    save_checkpoint,
    training_identity,
)
from rung.training.torch.devices import MixedPrecision, training_threads
from rung.training.torch.learner import Learner
from rung.training.torch.optimizers import make_optimizer
from rung.training.torch.parallel import World, train_in_processes
from rung.training.torch.rate_range import find_learning_rate
from rung.training.torch.schedules import rate_factor


@dataclass
class History:
    """How training went, and where it stands: the next step is batch `batch` of epoch `epoch`, both from 0.

    losses: of each step. scores: on validation rows after each epoch, empty without such rows. best_epoch: after which
    the returned weights were reached, counted from 1; 0 before any. rate: highest learning rate.
    """

    rate: float = 0.0
    epoch: int = 0
    batch: int = 0
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False

    def by_epoch(self) -> dict[str, list[float]]:
        """Return the mean loss of each epoch, and the score after it where there were validation rows."""
        parts = np.array_split(np.array(self.losses), max(self.epoch, 1))
        found = {"loss": [round(float(part.mean()), 5) for part in parts if len(part)]}
        return found | ({"score": [round(score, 5) for score in self.scores]} if self.scores else {})


def train(learner: Learner, params: TrainingParams, context: FitContext) -> History:
    """Train `learner.module` in place and return the history; the weights are those of the best epoch.

    Goes on from the checkpoint in `context.scratch` if one of the same training is there: on a CPU with the same
    number of threads the result is that of an uninterrupted run, bit for bit. Raises FitCancelled when the context
    says so, RungError when the loss is not finite or a single row does not fit into memory.
    """
    if params.processes > 1:
        return History(**train_in_processes(train, learner, params, context))
    with training_threads(context.threads, context.seed):
        return _Trainer(learner, params, context).run()


class _Trainer:
    def __init__(self, learner: Learner, params: TrainingParams, context: FitContext) -> None:
        self.learner, self.params, self.context = learner, params, context
        self.module = learner.module
        self.world = World.current()
        device = torch.device(context.device)
        self.module.to(device)
        if params.compile:
            self.module.compile()
        self.precision = MixedPrecision(params.precision, device)
        rate = params.learning_rate or find_learning_rate(learner, params, context.seed)
        self.history = History(rate)
        self.optimizer = make_optimizer(self.module, params, rate)
        self.averaged = self._weights() if params.ema else {}
        self.best: dict[str, Tensor] = {}
        self.halvings = 0
        self.began, self.began_at, self.saved = time.monotonic(), 0.0, time.monotonic()
        facts = (params, context.seed, len(learner.lengths), int(learner.lengths.sum()))
        self.identity = training_identity(self.module, *facts)

    def run(self) -> History:
        self._resume()
        history, params = self.history, self.params
        while history.epoch < params.epochs and not history.stopped_early:
            steps = self._steps(history.epoch)
            self.module.train()
            while history.batch < len(steps):
                if self.context.cancelled():
                    raise FitCancelled()
                progress = (history.epoch + (history.batch + 0.5) / len(steps)) / params.epochs
                history.losses.append(self._step(steps[history.batch], progress))
                history.batch += 1
                self._report(history.epoch + history.batch / len(steps))
                self._save_now_and_then()
            self._end_epoch()
        if self.best or self.averaged:
            self._load(self.best or self.averaged)
        self.module.eval()
        return history

    def _steps(self, epoch: int) -> list[list[Ints]]:
        """Return the steps of an epoch, each a list of the batches whose gradients it adds."""
        params, learner = self.params, self.learner
        batches = plan_batches(
            learner.lengths, params.batch_rows, params.batch_tokens, self.context.seed, epoch
        )
        size = params.accumulate
        return [batches[start : start + size] for start in range(0, len(batches), size)]

    def _step(self, batches: list[Ints], progress: float) -> float:
        """Change the weights by one step and return the mean loss of its rows before it."""
        factor = rate_factor(self.params.schedule, self.params.warmup, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = group["full_lr"] * factor
        loss = self.world.add(self.module, self._gradients(batches))
        if not math.isfinite(loss):
            raise RungError(
                f"training diverged: the loss is {loss} at step {len(self.history.losses) + 1}",
                "learning_rate",
                f"Lower learning_rate (now {self.history.rate:g}), lengthen warmup (now {self.params.warmup:g}) "
                f"or set clip: 1 (now {self.params.clip:g}).",
            )
        self.precision.step(self.optimizer, self.module, self.params.clip)
        if self.averaged:
            self._average()
        return loss

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones."""
        for name, value in self.module.state_dict().items():
            average = self.averaged[name]
            if average.is_floating_point():
                average.lerp_(value, 1.0 - self.params.ema)
            else:
                average.copy_(value)

    def _gradients(self, batches: list[Ints]) -> float:
        """Compute the gradients of a step, in halves of batches if memory runs out, and return its mean loss."""
        total = sum(float(self.learner.weights[rows].sum()) for rows in batches)
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            try:
                return sum(self._add_gradients(part, total) for part in self._parts(batches))
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                largest = max(len(rows) for rows in batches)
                if largest >> self.halvings <= 1:
                    raise RungError(
                        "a single row does not fit into memory",
                        "batch_tokens",
                        "Lower max_tokens or the width.",
                    ) from None
            self.halvings += 1
            if self.precision.device.type == "cuda":
                torch.cuda.empty_cache()

    def _parts(self, batches: list[Ints]) -> Iterator[Ints]:
        """Yield this process's rows of each batch, in parts that fit into memory."""
        for rows in batches:
            own = self.world.share(rows)
            size = max(-(-len(rows) >> self.halvings), 1)
            yield from (own[start : start + size] for start in range(0, len(own), size))

    def _add_gradients(self, rows: Ints, total: float) -> float:
        with self.precision.forward():
            loss = self.learner.loss(rows) / max(total, 1e-12)
        self.precision.backward(loss)
        return float(loss.detach())

    def _end_epoch(self) -> None:
        """Score the epoch, keep its weights if they are the best, and decide whether to go on."""
        history = self.history
        history.epoch, history.batch = history.epoch + 1, 0
        with self._averaged_weights():
            score = self._score()
            if score is not None:
                if not history.scores or score > max(history.scores):
                    self.best, history.best_epoch = self._weights(), history.epoch
                history.scores.append(score)
        self.learner.epoch_ended(history.epoch, score)
        if score is None:
            history.best_epoch = history.epoch
        waited = history.epoch - history.best_epoch
        history.stopped_early = 0 < self.params.patience <= waited
        self._save_now_and_then()

    def _score(self) -> float | None:
        self.module.eval()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return self.learner.score()

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """Use the averaged weights, where there are any, while the block runs."""
        if not self.averaged:
            yield
            return
        kept = self._weights()
        self._load(self.averaged)
        yield
        self._load(kept)

    def _weights(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}

    def _load(self, weights: dict[str, Tensor]) -> None:
        self.module.load_state_dict(weights)

    def _report(self, epochs: float) -> None:
        """Report loss, rate, throughput and the time that is left."""
        seconds = max(time.monotonic() - self.began, 1e-9)
        done, rows = epochs - self.began_at, len(self.learner.lengths)
        metrics: dict[str, float] = {
            "loss": self.history.losses[-1],
            "learning_rate": float(self.optimizer.param_groups[-1]["lr"]),
            "rows_per_s": done * rows / seconds,
            "seconds_left": seconds / max(done, 1e-9) * (self.params.epochs - epochs),
        }
        if self.history.scores:
            metrics["score"] = self.history.scores[-1]
        self.context.report(round(epochs * rows), self.params.epochs * rows, metrics)

    def _save_now_and_then(self) -> None:
        late = time.monotonic() - self.saved >= self.params.checkpoint_seconds
        if late and self.context.scratch is not None:
            self._save()

    def _save(self) -> None:
        """Write all that the next step depends on into one file."""
        if self.context.scratch is None or self.world.rank:
            return
        random = {"cpu": torch.get_rng_state()}
        if self.precision.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state()
        groups: dict[str, dict[str, Tensor]] = {
            "weights": dict(self.module.state_dict()), "best": self.best, "averaged": self.averaged,
            "optimizer": optimizer_tensors(self.optimizer), "random": random,
        }  # fmt: skip
        scaler: dict[str, Any] = self.precision.scaler.state_dict() if self.precision.scaler else {}
        facts = {"identity": self.identity, "history": asdict(self.history), "scaler": scaler}
        save_checkpoint(self.context.scratch, groups, {**facts, "halvings": self.halvings})
        self.saved = time.monotonic()

    def _resume(self) -> None:
        """Go on from the checkpoint of the scratch folder, if it is one of this training."""
        found = None if self.context.scratch is None else load_checkpoint(self.context.scratch, self.identity)
        if found is None:
            return
        groups, facts = found
        self._load(groups["weights"])
        device = self.precision.device
        self.best = {name: tensor.to(device) for name, tensor in groups.get("best", {}).items()}
        self.averaged = {name: tensor.to(device) for name, tensor in groups.get("averaged", {}).items()}
        load_optimizer(self.optimizer, groups.get("optimizer", {}))
        torch.set_rng_state(groups["random"]["cpu"])
        if "cuda" in groups["random"]:
            torch.cuda.set_rng_state(groups["random"]["cuda"])
        if self.precision.scaler and facts["scaler"]:
            self.precision.scaler.load_state_dict(facts["scaler"])
        self.history, self.halvings = History(**facts["history"]), facts["halvings"]
        self.began_at = self.history.epoch + 0.0


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether memory ran out; on a CPU torch raises a plain RuntimeError."""
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
    )
