"""What a bundle is made of: the layers of its ONNX files, the tensors of its safetensors files."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import RungError
from rung.runtime.onnx.architecture import Layer, measure_layers


@dataclass(frozen=True)
class TensorFact:
    """A tensor of a safetensors file."""

    name: str
    shape: tuple[int, ...]
    weight_bytes: int


@dataclass(frozen=True)
class FilePart:
    """One file with weights. layers: of an ONNX file, empty where it cannot be run alone. problem: why not."""

    file: str
    size_bytes: int
    layers: tuple[Layer, ...] = ()
    tensors: tuple[TensorFact, ...] = ()
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the part for JSON."""
        return asdict(self)


def bundle_parts(folder: Path) -> list[FilePart]:
    """Return the files of a bundle, or the one ONNX file, that have weights."""
    if folder.is_file():
        return [_part(folder, folder.name)]
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".onnx", ".safetensors"})
    if not paths:
        raise RungError(
            "it has no file with weights", str(folder), "Rules and counts have no layers to show."
        )
    return [_part(path, path.relative_to(folder).as_posix()) for path in paths]


def _part(path: Path, name: str) -> FilePart:
    size = path.stat().st_size
    if path.suffix == ".safetensors":
        return FilePart(name, size, tensors=_tensors(path))
    try:
        return FilePart(name, size, measure_layers(path))
    except RungError as error:
        return FilePart(name, size, problem=error.problem)


def _tensors(path: Path) -> tuple[TensorFact, ...]:
    """Return the tensors of a safetensors file from its header."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(min(length, 100_000_000)))
    found = []
    for name, facts in header.items():
        if name != "__metadata__":
            begin, end = facts["data_offsets"]
            found.append(TensorFact(name, tuple(facts["shape"]), end - begin))
    return tuple(found)
