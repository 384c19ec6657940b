"""Turn fetched backbone weights into the folder that ships: model.onnx and backbone.json."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from rung.core.errors import MissingExtra, RungError, did_you_mean
from rung.modalities.images.backbone import Backbone, BackboneConfig
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.extractor import BackboneExtractor
from rung.runtime.weights.catalogue import CATALOGUE
from rung.runtime.weights.store import cache_folder, weights_folder
from rung.training.images.convnet import ConvNet
from rung.training.images.convnet_onnx import write_convnet
from rung.training.images.efficientnet_lite import efficientnet_lite0
from rung.training.images.mobilenet_v2 import mobilenet_v2
from rung.training.images.torch_file import read_tensors

_FORMAT = 1  # raise it when an exported folder would change, so that the cache makes new ones
_NETWORKS: Mapping[str, Callable[[Mapping[str, npt.NDArray[Any]]], ConvNet]] = {
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_lite0": efficientnet_lite0,
}


def open_extractor(name: str, side: int, fit: Literal["stretch", "crop", "pad"]) -> BackboneExtractor:
    """Return the extractor of a backbone for images read at a side; never downloads."""
    return BackboneExtractor(Backbone.open(backbone_folder(name)), Preprocessing(side, side, "rgb", fit))


def backbone_folder(name: str) -> Path:
    """Return the folder of a ready backbone, made on first use from weights that are on this machine.

    Never downloads: raises RungError with the command to run when the weights are absent.
    """
    if name not in _NETWORKS:
        raise RungError(f"'{name}' is not a backbone", "model", did_you_mean(name, _NETWORKS))
    weights_folder(name)
    folder = cache_folder() / "backbones" / f"{name}-v{_FORMAT}"
    if (folder / "backbone.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
        ready = Path(scratch) / "ready"
        ready.mkdir()
        _export(name, ready)
        try:
            ready.rename(folder)
        except OSError:  # another process was first; its folder is as good
            if not (folder / "backbone.json").is_file():
                raise
    return folder


def read_network(name: str) -> ConvNet:
    """Return the network of fetched weights, their hash checked before the file is read."""
    item = next(item for item in CATALOGUE if item.name == name)
    (file,) = item.files
    return _NETWORKS[name](read_tensors(weights_folder(name) / file.target, file.sha256))


def _export(name: str, ready: Path) -> None:
    try:
        import onnx
    except ImportError:
        raise MissingExtra("writing a backbone", "build", "onnx") from None
    network = read_network(name)
    onnx.save(write_convnet(network), ready / "model.onnx")
    identity = hashlib.blake2b((ready / "model.onnx").read_bytes(), digest_size=8).hexdigest()
    item = next(item for item in CATALOGUE if item.name == name)
    # Written last: if this file exists, the folder is whole.
    BackboneConfig(identity, network.widths, item.weights_licence, item.source).write(ready)
