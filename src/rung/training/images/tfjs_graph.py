"""Read a TensorFlow.js graph model: its nodes and its weights, and nothing that runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError

Tensor = npt.NDArray[Any]
_TYPES = {"float32": np.float32, "int32": np.int32, "float16": np.float16}


@dataclass(frozen=True)
class Node:
    """One operation. inputs: names of the nodes it reads. attributes: as the file has them."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return an attribute that is a list of whole numbers; () where the node has none of that name."""
        listed = self.attributes.get(name, {}).get("list", {})
        return tuple(map(int, listed.get("i", ())))

    def words(self, name: str) -> tuple[str, ...]:
        """Return an attribute that is a text or a list of texts, which the file holds in base64."""
        import base64

        raw = self.attributes.get(name, {})
        texts = raw.get("list", {}).get("s", ()) if "list" in raw else (raw["s"],) if "s" in raw else ()
        return tuple(base64.b64decode(text).decode("ascii") for text in texts)


@dataclass(frozen=True)
class TfjsGraph:
    """A graph of nodes by name, and the values of its constants."""

    nodes: Mapping[str, Node]
    constants: Mapping[str, Tensor]


def read_tfjs(topology: Path, weights: Path) -> TfjsGraph:
    """Return the graph of a `model.json` and its one weight file.

    Weights stored in half precision become float32, as TensorFlow.js reads them. Raises RungError for another format.
    """
    try:
        raw = json.loads(topology.read_text(encoding="utf-8"))
        listed = raw["modelTopology"]["node"]
        (group,) = raw["weightsManifest"]
        nodes = {
            item["name"]: Node(item["name"], item["op"], tuple(item.get("input", ())), item.get("attr", {}))
            for item in listed
        }
        constants = _constants(group["weights"], weights.read_bytes())
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RungError(f"this is no graph of TensorFlow.js: {error}", topology.name) from None
    return TfjsGraph(nodes, constants)


def _constants(entries: list[Mapping[str, Any]], data: bytes) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    begin = 0
    for entry in entries:
        stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
        kind = np.dtype(_TYPES[stored]).newbyteorder("<")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(data, kind, count, begin).astype(_TYPES[entry["dtype"]])
        found[entry["name"]] = values.reshape(entry["shape"])
        begin += count * kind.itemsize
    if begin != len(data):
        raise ValueError(f"the weights are {len(data):,} bytes, the graph lists {begin:,}")
    return found
