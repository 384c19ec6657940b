"""Checkpoints of training: everything that the next step depends on, in one safetensors file.

Tensors are stored as tensors, all else as JSON in the file's metadata. The file is replaced atomically, so that a
process killed at any moment leaves the last whole checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rung.core.files import writing

_FILE = "training.safetensors"
_FACTS = "rung"


def save_checkpoint(
    folder: Path, groups: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]
) -> None:
    """Write tensors, by group and name, and facts for JSON; whole or not at all."""
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().clone().contiguous()
        for group, named in groups.items()
        for name, tensor in named.items()
    }
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{_FILE}.tmp"
        save_file(tensors, temporary, {_FACTS: json.dumps(facts)})
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(folder / _FILE)


def load_checkpoint(
    folder: Path, identity: str
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
    """Return tensors by group and name, and the facts; None without a checkpoint of this identity.

    A file that cannot be read, or that belongs to another network or other rows, counts as none.
    """
    path = folder / _FILE
    if not path.is_file():
        return None
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {}).get(_FACTS, "{}"))
            if facts.get("identity") != identity:
                return None
            for key in file.keys():  # noqa: SIM118 - a file of safetensors is no mapping
                group, _, name = key.partition("/")
                groups.setdefault(group, {})[name] = file.get_tensor(key)
    except (OSError, SafetensorError, ValueError):
        return None
    return groups, facts


def training_identity(module: nn.Module, *facts: Any) -> str:
    """Return a hash of a module's tensors' names and shapes and of whatever else training depends on."""
    shapes = [(name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()]
    return hashlib.sha256(repr((shapes, facts)).encode()).hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser as tensors by `number of the parameter/name`."""
    found = {}
    for number, named in optimizer.state_dict()["state"].items():
        for name, value in named.items():
            if value is not None:
                found[f"{number}/{name}"] = torch.as_tensor(value)
    return found


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore what `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
