"""Which operators an ONNX file needs: what a phone's runtime must have, without the `onnx` package.

Message and field numbers: onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rung.core.errors import RungError
from rung.runtime.onnx.session import read_model
from rung.runtime.onnx.wire import message_fields

# Message -> field number -> message of the field. What is not listed holds no operator.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "graph": {1: "node"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 9: "opset"},
    "node": {4: "name", 5: "attribute", 7: "domain"},
    "attribute": {6: "graph", 11: "graph"},
}
_STANDARD = "ai.onnx"
# Operators of the reduced package onnxruntime-mobile, whose last version is 1.18.0: the published configuration of its build
# (tools/ci_build/github/android/mobile_package.required_operators.config). Phones' full packages have all operators.
MOBILE_PACKAGE: Mapping[str, frozenset[str]] = {
    _STANDARD: frozenset(
        [
            "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "Cast", "Ceil", "Clip", "Concat", "ConstantOfShape", "Conv",
            "ConvTranspose", "Cos", "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "DynamicQuantizeLinear", "Elu",
            "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherND", "Gemm", "GlobalAveragePool", "Greater",
            "GreaterOrEqual", "Identity", "If", "InstanceNormalization", "LRN", "LayerNormalization", "LeakyRelu", "Less",
            "LessOrEqual", "Log", "LogSoftmax", "Loop", "MatMul", "MatMulInteger", "Max", "MaxPool", "Mean", "Min", "Mul",
            "Neg", "NonMaxSuppression", "NonZero", "Not", "Or", "PRelu", "Pad", "Pow", "QLinearConv", "QLinearMatMul",
            "QuantizeLinear", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu",
            "Reshape", "Resize", "ReverseSequence", "Round", "Scan", "ScatterND", "Shape", "Sigmoid", "Sin", "Size", "Slice",
            "Softmax", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "ThresholdedRelu", "Tile", "TopK",
            "Transpose", "Unique", "Unsqueeze", "Where",
        ]
    ),
    "com.microsoft": frozenset(
        [
            "BiasGelu", "DynamicQuantizeMatMul", "FusedConv", "FusedGemm", "FusedMatMul", "Gelu", "MatMulIntegerToFloat",
            "NhwcMaxPool", "QLinearAdd", "QLinearAveragePool", "QLinearConv", "QLinearGlobalAveragePool", "QLinearLeakyRelu",
            "QLinearMul", "QLinearSigmoid", "SkipLayerNormalization",
        ]
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Operators:
    """The operators of one or several files. names: by domain. opsets: version of each domain, the highest."""

    names: Mapping[str, frozenset[str]]
    opsets: Mapping[str, int]

    @classmethod
    def of(cls, *paths: Path) -> Operators:
        """Return the operators of ONNX files; raises RungError for what is none."""
        names: dict[str, set[str]] = {}
        opsets: dict[str, int] = {}
        for path in paths:
            try:
                _collect(memoryview(read_model(path)), names, opsets)
            except (IndexError, ValueError):
                raise RungError("this is not an ONNX file", path.name, "Export it again.") from None
        return cls({domain: frozenset(found) for domain, found in sorted(names.items())}, opsets)

    def config(self) -> str:
        """Return the lines that onnxruntime's builds read (`--include_ops_by_config`): domain;opset;operators."""
        lines = [
            f"{domain};{self.opsets.get(domain, 1)};{','.join(sorted(found))}"
            for domain, found in self.names.items()
        ]
        return "\n".join(lines) + "\n"

    def missing_in(self, package: Mapping[str, frozenset[str]]) -> list[str]:
        """Return the operators that a package lacks, as domain:name."""
        return [
            f"{domain}:{name}"
            for domain, found in self.names.items()
            for name in sorted(found - package.get(domain, frozenset()))
        ]


def _collect(content: memoryview, names: dict[str, set[str]], opsets: dict[str, int]) -> None:
    waiting = [("model", content)]
    while waiting:
        message, data = waiting.pop()
        known = _FIELDS[message]
        texts: dict[str, str] = {}
        for number, value in message_fields(data):
            kind = known.get(number, "")
            if isinstance(value, int):
                continue
            if kind == "opset":
                domain, version = _opset(value)
                opsets[domain] = max(opsets.get(domain, 0), version)
            elif kind in _FIELDS:
                waiting.append((kind, value))
            elif kind:
                texts[kind] = bytes(value).decode("utf-8")
        if message == "node":
            names.setdefault(texts.get("domain") or _STANDARD, set()).add(texts.get("name", ""))


def _opset(data: memoryview) -> tuple[str, int]:
    found = dict(message_fields(data))
    domain, version = found.get(1, memoryview(b"")), found.get(2, 0)
    if isinstance(domain, int) or not isinstance(version, int):
        raise ValueError("no set of operators")
    return bytes(domain).decode("utf-8") or _STANDARD, version
