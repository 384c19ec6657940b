"""Data-parallel training in several processes of one machine: gloo between CPUs, NCCL between GPUs."""

from __future__ import annotations

import copy
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from rung.core.engine import ATTEMPTS
from rung.core.errors import RungError
from rung.training.torch.checkpoints import load_checkpoint, save_checkpoint

_RESULT = "result"
# What gloo and NCCL say in a process that waits for one that was lost.
_CUT_OFF = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """The processes that train together, and which of them this is."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> World:
        """Return the world of this process; a world of one when no group was started."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return cls()

    def share(self, rows: Ints) -> Ints:
        """Return the rows of a batch that this process computes."""
        return rows[self.rank :: self.size]

    def add(self, module: nn.Module, loss: float) -> float:
        """Add the gradients of all processes, in place, and return the sum of their losses."""
        if self.size == 1:
            return loss
        parameters = [p for p in module.parameters() if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([*(g.reshape(-1) for g in gradients), gradients[0].new_tensor([loss])])
        torch.distributed.all_reduce(flat)
        start = 0
        for parameter, gradient in zip(parameters, gradients, strict=True):
            end = start + gradient.numel()
            parameter.grad = flat[start:end].view_as(gradient).clone()
            start = end
        return float(flat[-1])


def train_in_processes(train: Any, learner: Any, params: Any, context: Any) -> dict[str, Any]:
    """Return the history, as a dict, of `train(learner, params, context)` when `params.processes` processes share each batch.

    Weights end in `learner.module`. The result equals that of one process up to the rounding of sums, as long as the
    module draws no random numbers (dropout) and keeps no statistics of batches. Where a process is lost, all begin again at the
    last checkpoint, three times in all.
    """
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(prefix="rung-") as scratch:
            # Only the first process reports and writes checkpoints; the others read the same ones.
            arguments = (params.processes, train, learner, replace(params, processes=1), context, scratch)
            try:
                spawn(_worker, arguments, nprocs=params.processes)  # type: ignore[no-untyped-call]
            except (ProcessRaisedException, ProcessExitedException) as error:
                if attempt < ATTEMPTS and _is_loss(error):
                    continue
                reason = str(error).strip().splitlines()[-1]
                raise RungError(
                    f"a training process failed: {reason}", "processes", "Try processes: 1."
                ) from error
            found = load_checkpoint(Path(scratch), _RESULT)
        if found is None:
            break
        groups, facts = found
        learner.module.load_state_dict(groups["weights"])
        return dict(facts["history"])
    raise RungError("the training processes left no weights", "processes", "Try processes: 1.")


def _is_loss(error: Exception) -> bool:
    """Return whether a process was killed, by itself or as the others saw it: what they wait for is cut off."""
    return isinstance(error, ProcessExitedException) or any(words in str(error) for words in _CUT_OFF)


def _worker(rank: int, size: int, train: Any, learner: Any, params: Any, context: Any, scratch: str) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    on_gpu = context.device == "cuda"
    if on_gpu:
        torch.cuda.set_device(rank % torch.cuda.device_count())
    torch.distributed.init_process_group(
        "nccl" if on_gpu else "gloo", f"file://{scratch}/meeting", rank=rank, world_size=size
    )
    try:
        # What is sent to a process lies in shared memory: each needs weights of its own.
        learner.module = copy.deepcopy(learner.module)
        own = context if rank == 0 else replace(context, channel=None)
        threads = max(context.threads // size, 1)
        history = train(learner, params, replace(own, threads=threads))
        if rank == 0:
            facts = {"identity": _RESULT, "history": asdict(history)}
            save_checkpoint(Path(scratch), {"weights": learner.module.state_dict()}, facts)
    finally:
        torch.distributed.destroy_process_group()
