"""Weights of linear heads in fewer bits: half precision, or 8 bits with a scale a label."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.text.tfidf import packed_buckets
from rung.runtime.linear.head import WEIGHTS_FILE, quantised
from rung.training.compression.recipe import Source

_GREATEST = float(np.finfo(np.float16).max)
# Thresholds and curves of a calibration are a few numbers whose digits decide.
_KEPT = ("bias", "knots.")


def to_float16(source: Source, folder: Path) -> str:
    """Copy the model with its weights in half precision; those that would overflow stay as they are."""
    return _rewritten(source, folder, lambda name, array: {name: _half(name, array)})


def to_int8(source: Source, folder: Path) -> str:
    """Copy the model with its weights in 8 bits, and all else in half precision; buckets of n-grams as 16-bit steps."""

    def smaller(name: str, array: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        if name == "weights":
            return quantised(array.astype(np.float32))
        if name.startswith("buckets."):
            return packed_buckets(name, array)
        return {name: _half(name, array)}

    return _rewritten(source, folder, smaller)


def _half(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype != np.float32 or name.startswith(_KEPT) or not np.abs(array).max(initial=0.0) < _GREATEST:
        return array
    return array.astype(np.float16)


def _rewritten(source: Source, folder: Path, smaller: Any) -> str:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(source.folder, folder, dirs_exist_ok=True)
    arrays = load_file(source.folder / WEIGHTS_FILE)
    made: dict[str, npt.NDArray[Any]] = {}
    for name, array in arrays.items():
        made |= smaller(name, array)
    save_file({name: np.ascontiguousarray(array) for name, array in made.items()}, folder / WEIGHTS_FILE)
    return source.family
