"""Which device a fit may use. torch is asked in a process of its own: rung itself never imports it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rung.core.errors import RungError

Device = Literal["cpu", "cuda"]


def resolve_device(wanted: Literal["auto", "cpu", "cuda"]) -> Device:
    """Return the device of the fits: for "auto" the GPU where torch can use one, else the CPU.

    Raises RungError for "cuda" where torch is not installed or finds no GPU.
    """
    if wanted == "cpu" or (wanted == "auto" and not _has_gpu()):
        return "cpu"
    if _torch_finds_gpu():
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise RungError(
        "torch is not installed or finds no GPU here", "budget.device", "Write `device: auto`, or `cpu`."
    )


def _has_gpu() -> bool:
    """Return whether a driver shows that asking torch, which takes seconds, is worth it."""
    drivers = (Path("/proc/driver/nvidia"), Path("/dev/nvidia0"), Path("/dev/kfd"))
    return any(path.exists() for path in drivers) or shutil.which("nvidia-smi") is not None


@lru_cache(maxsize=1)
def _torch_finds_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    code = "import sys, torch; sys.exit(0 if torch.cuda.is_available() else 1)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
