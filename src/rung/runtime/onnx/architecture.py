"""Measure the operators of an ONNX file with ONNX Runtime's profiler: shapes, parameters, share of time and memory."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.errors import RungError

# Sizes that a graph leaves open: rows, tokens, and the sides of an image.
_ROWS, _TOKENS, _SIDE = 1, 32, 96
_RUNS = 5
_TYPES = {
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(double)": np.float64,
    "tensor(float16)": np.float16, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_,
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """Operators with one set of weights: the operator that has them, and those up to the next one.

    shape: of the output. weight_bytes: of its weights as they lie in memory. micros: per run. output_bytes: of all
    its operators' outputs.
    """

    operator: str
    shape: tuple[int, ...]
    weight_bytes: int
    micros: float
    output_bytes: int
    operators: int


def measure_layers(path: Path) -> tuple[Layer, ...]:
    """Return the layers of an ONNX file in the order in which they run, measured on a row of zeros or of one word.

    As ONNX Runtime runs them: operators that it fuses appear as one. Raises RungError when the file cannot be run on
    such a row.
    """
    timed = _profile(path, prepacked=True)
    # Weights that are packed for a processor do not count as an operator's: they are read without packing.
    sizes = {node["name"]: int(node.get("parameter_size", 0)) for node in _profile(path, prepacked=False)}
    return _grouped([{**node, "parameter_size": sizes.get(node["name"], 0)} for node in timed])


def _profile(path: Path, prepacked: bool) -> list[dict[str, Any]]:
    """Return one entry an operator of a few runs on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_profiling = True
    options.add_session_config_entry("session.disable_prepacking", "0" if prepacked else "1")
    with tempfile.TemporaryDirectory(prefix="rung-") as scratch:
        options.profile_file_prefix = f"{scratch}/profile"
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            feed = {item.name: _sample(item) for item in session.get_inputs()}
            for _ in range(_RUNS):
                session.run(None, feed)
        except Exception as error:  # onnxruntime raises classes of its own, all below Exception
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise RungError(f"it does not run on an empty row: {line[:200]}", path.name) from None
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return _nodes(events)


def _sample(item: Any) -> Any:
    """Return an input of the size that a graph asks for, with usual sizes where it leaves them open."""
    usual = [_ROWS, _TOKENS] if len(item.shape) == 2 else [_ROWS, 3, _SIDE, _SIDE]
    sizes = [
        size if isinstance(size, int) and size > 0 else (usual[place] if place < len(usual) else 1)
        for place, size in enumerate(item.shape)
    ]
    if item.type == "tensor(string)":
        return np.full(sizes, "word", dtype=object)
    kind = _TYPES.get(item.type)
    if kind is None:
        raise RungError(f"the input '{item.name}' has the type {item.type}", "model.onnx")
    return np.ones(sizes, kind) if "mask" in item.name else np.zeros(sizes, kind)


def _nodes(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one entry an operator, in the order of the first run, with the least time of all runs."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        name, facts = str(event.get("name", "")), event.get("args", {})
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            node = found.setdefault(name, {**facts, "name": name, "dur": event["dur"]})
            node["dur"] = min(node["dur"], event["dur"])
    return list(found.values())


def _grouped(nodes: list[dict[str, Any]]) -> tuple[Layer, ...]:
    """Return layers: an operator with at least a thousandth of all weights, and a hundred bytes, begins one."""
    found: list[Layer] = []
    least = max(sum(int(node["parameter_size"]) for node in nodes) / 1000, 100)
    for node in nodes:
        weights, output = int(node["parameter_size"]), int(node.get("output_size", 0))
        if weights >= least or not found:
            found.append(Layer(str(node["op_name"]), _shape(node), weights, float(node["dur"]), output, 1))
            continue
        last = found[-1]
        found[-1] = Layer(
            last.operator, _shape(node) if len(_shape(node)) > 1 else last.shape, last.weight_bytes + weights, last.micros + float(node["dur"]),
            last.output_bytes + output, last.operators + 1,
        )  # fmt: skip
    return tuple(found)


def _shape(node: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of the first output."""
    for entry in node.get("output_type_shape", []):
        for sizes in entry.values():
            return tuple(int(size) for size in sizes)
    return ()
