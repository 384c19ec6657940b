"""What a bundle is made of: the layers of its ONNX files, the tensors of its safetensors files; as text and as SVG."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from rung.core.errors import RungError
from rung.core.messages import say
from rung.runtime.onnx.architecture import Layer, measure_layers

_BOX, _GAP, _WIDTH = 30, 14, 640


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


def shares(layers: Sequence[Layer]) -> list[tuple[float, float]]:
    """Return of each layer its share of the time and of the memory of weights and outputs."""
    time = sum(layer.micros for layer in layers) or 1.0
    memory = sum(layer.weight_bytes + layer.output_bytes for layer in layers) or 1
    return [(x.micros / time, (x.weight_bytes + x.output_bytes) / memory) for x in layers]


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it: 1 x 32 x 384."""
    return " x ".join(map(str, shape))


def to_svg(parts: Sequence[FilePart], lang: str) -> str:
    """Return the layers as boxes from top to bottom; the bar of a box is its share of the time."""
    lines, y = [], 20
    for part in parts:
        if not part.layers:
            continue
        lines.append(f'<text x="20" y="{y}" class="h">{escape(part.file)}</text>')
        y += 12
        for layer, (time, memory) in zip(part.layers, shares(part.layers), strict=True):
            facts = say(
                "inspect.box", lang, shape=shape_text(layer.shape), kb=f"{layer.weight_bytes / 1000:,.0f}",
                time=f"{time:.0%}", memory=f"{memory:.0%}",
            )  # fmt: skip
            lines.append(f'<rect x="20" y="{y}" width="{_WIDTH}" height="{_BOX}" class="box"/>')
            lines.append(f'<rect x="20" y="{y}" width="{_WIDTH * time:.1f}" height="{_BOX}" class="bar"/>')
            lines.append(f'<text x="32" y="{y + 20}">{escape(layer.operator)}</text>')
            lines.append(f'<text x="{_WIDTH + 8}" y="{y + 20}" class="f">{escape(facts)}</text>')
            y += _BOX + _GAP
        y += 24
    style = (
        "text{font:13px sans-serif;fill:#222}.h{font-weight:bold}.f{text-anchor:end;fill:#555}"
        ".box{fill:#f4f6f8;stroke:#9aa5b1}.bar{fill:#cfe3f7}"
    )
    title = escape(say("inspect.title", lang))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH + 40}" height="{y + 10}" role="img" aria-label="{title}">'
        f"<title>{title}</title><style>{style}</style>{''.join(lines)}</svg>\n"
    )
