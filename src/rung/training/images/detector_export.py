"""Turn the fetched CenterNet into ONNX: as it is, as features to learn from, or with a head of one's own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import MissingExtra
from rung.modalities.images.coco_labels import COCO
from rung.modalities.images.detector import MODEL, Detector, DetectorConfig
from rung.runtime.onnx.session import OnnxFile
from rung.runtime.weights.catalogue import CATALOGUE
from rung.runtime.weights.store import cache_folder, weights_folder
from rung.training.images.tfjs_graph import TfjsGraph, read_tfjs
from rung.training.images.tfjs_onnx import TfjsWriter
from rung.training.onnx.graph import Graph

WEIGHTS = "centernet"
STRIDE, FEATURES = 4, 128
# A cell is described by its own features and by their means over the cells around it: 3 x 3, and 3 x 3 and 7 x 7 blocks
# of 4 x 4 cells, blown up again.
_NEAR, _BLOCK, _FAR = 3, 4, (3, 7)
CONTEXT = FEATURES * (2 + len(_FAR))
# Natural logarithms of distances, in pixels, beyond which a head does not go.
SMALLEST, LARGEST = -1.0, 6.5
_FORMAT = 1  # raise it when an exported folder would change, so that the cache makes new ones
_OPSET, _IR_VERSION = 21, 10
_INPUT = "tower_0/images"
_NODES = {"heat": "tower_0/keypoints", "sizes": "tower_0/wh"}
_TRUNK = "tower_0/CenternetHead/mul"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HeadWeights:
    """A small network on the context of each cell. hidden: weight and bias of its hidden layer. heat, sizes: of its outputs.

    Weights are [in, out]. heat gives a logit a label; sizes the logarithm of the distances to the four edges.
    """

    hidden: tuple[Floats, Floats]
    heat: tuple[Floats, Floats]
    sizes: tuple[Floats, Floats]


def open_packaged(labels: tuple[str, ...] = tuple(COCO)) -> Detector:
    """Return the packaged detector with its channels answered as these labels; never downloads.

    Raises RungError with the command to run when the weights are absent.
    """
    item = next(item for item in CATALOGUE if item.name == WEIGHTS)
    config = DetectorConfig(labels, licence=item.weights_licence, source=item.source)
    return Detector(config, OnnxFile.open(_exported("detector") / MODEL))


def open_features() -> OnnxFile:
    """Return the network without its head: images -> context, float32 [images, rows, columns, CONTEXT]."""
    return OnnxFile.open(_exported("features") / MODEL)


def make_detector(labels: tuple[str, ...], side: int, head: HeadWeights, most_overlap: float) -> Detector:
    """Return a detector with a head of one's own; it lies in no file until it is saved."""
    item = next(item for item in CATALOGUE if item.name == WEIGHTS)
    config = DetectorConfig(labels, side, STRIDE, most_overlap, item.weights_licence, item.source)
    content = _model("own", head).SerializeToString()
    return Detector(config, OnnxFile(Path(MODEL), content, MODEL), content)


def _exported(what: str) -> Path:
    """Return the folder of an exported network, made on first use."""
    weights_folder(WEIGHTS)
    folder = cache_folder() / "backbones" / f"{WEIGHTS}-{what}-v{_FORMAT}"
    if (folder / MODEL).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
        ready = Path(scratch) / "ready"
        ready.mkdir()
        _save(_model(what, None), ready / MODEL)
        try:
            ready.rename(folder)
        except OSError:  # another process was first; its folder is as good
            if not (folder / MODEL).is_file():
                raise
    return folder


def _model(what: str, head: HeadWeights | None) -> Any:
    try:
        from onnx import TensorProto, helper
    except ImportError:
        raise MissingExtra("writing a detector", "build", "onnx") from None
    folder, graph = weights_folder(WEIGHTS), Graph()
    levels = graph.node("Cast", ["images"], to=TensorProto.FLOAT)
    first = graph.node("Transpose", [levels], perm=[0, 3, 1, 2])
    source: TfjsGraph = read_tfjs(folder / "centernet.json", folder / "centernet.bin")
    writer = TfjsWriter(source, graph, {_INPUT: first})
    if what == "detector":
        tensors: Mapping[str, str] = {name: writer.tensor(node) for name, node in _NODES.items()}
    else:
        context = _write_context(graph, writer.tensor(_TRUNK))
        tensors = {"context": context} if head is None else _write_head(graph, context, head)
    for name, tensor in tensors.items():
        graph.nodes.append(helper.make_node("Transpose", [tensor], [name], perm=[0, 2, 3, 1]))
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["images", "rows", "columns", None])
        for name in tensors
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.UINT8, ["images", "height", "width", 3])]
    return helper.make_model(
        helper.make_graph(graph.nodes, "detector", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="rung",
    )


def _write_context(graph: Graph, trunk: str) -> str:
    def mean(tensor: str, side: int, stride: int = 1) -> str:
        pads = [0 if stride > 1 else side // 2] * 4
        return graph.node(
            "AveragePool", [tensor], kernel_shape=[side, side], pads=pads, strides=[stride, stride]
        )

    blocks = mean(trunk, _BLOCK, _BLOCK)
    scales = graph.constant(np.array([1, 1, _BLOCK, _BLOCK], np.float32))
    far = [graph.node("Resize", [mean(blocks, side), "", scales], mode="linear") for side in _FAR]
    return graph.node("Concat", [trunk, mean(trunk, _NEAR), *far], axis=1)


def _write_head(graph: Graph, context: str, head: HeadWeights) -> dict[str, str]:
    hidden = graph.node("Relu", [_layer(graph, context, head.hidden)])
    heat = graph.node("Sigmoid", [_layer(graph, hidden, head.heat)])
    ends = [graph.constant(np.float32(end)) for end in (SMALLEST, LARGEST)]
    reach = graph.node("Clip", [_layer(graph, hidden, head.sizes), *ends])
    return {"heat": heat, "sizes": graph.node("Exp", [reach])}


def _layer(graph: Graph, tensor: str, layer: tuple[Floats, Floats]) -> str:
    weight, bias = layer
    turned = np.ascontiguousarray(weight.T)[:, :, None, None].astype(np.float32)
    return graph.node("Conv", [tensor, graph.constant(turned), graph.constant(bias.astype(np.float32))])


def _save(model: Any, path: Path) -> None:
    import onnx

    onnx.save(model, path)
