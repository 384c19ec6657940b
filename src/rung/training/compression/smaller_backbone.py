"""A backbone with its weights in 8 bits, its last blocks cut off, or its images read smaller; the head is fitted anew on its features."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.errors import RungError
from rung.modalities.images.backbone import Backbone, BackboneConfig
from rung.modalities.images.extractor import BackboneExtractor, load_extractor
from rung.modalities.images.image_model import vectors_of
from rung.training.compression.onnx_bits import weights_to_int8
from rung.training.compression.recipe import Make, Source
from rung.training.compression.smaller_encoder import HEAD_FILE
from rung.training.compression.students import taught
from rung.training.images.convnet_onnx import FEATURES
from rung.training.images.fit import HeadParams, fit_image_head

_LEAST_SIDE = 32


def weights_in_8_bits(source: Source, folder: Path) -> str:
    """Copy the model with the backbone's weights in 8 bits; the head stays as it is."""
    shutil.copytree(source.folder, folder, dirs_exist_ok=True)
    _rewrite(folder / "backbone", weights_to_int8)
    return source.family


def smaller_side(share: float) -> Make:
    """Return the recipe that reads images at this share of the side."""
    return partial(_smaller, share=share)


def _smaller(source: Source, folder: Path, share: float) -> str:
    old = _extractor(source)
    side = max(round(old.preprocessing.width * share / 16) * 16, _LEAST_SIDE)
    if side >= old.preprocessing.width:
        raise RungError(
            f"images are read at {old.preprocessing.width} pixels already",
            source.family,
            "Smaller ones say too little.",
        )
    small = replace(old.preprocessing, width=side, height=side)
    return _refit(source, folder, BackboneExtractor(old.backbone, small), {"side": side})


def first_blocks(source: Source, folder: Path) -> str:
    """Write the model over the backbone without the blocks behind its last but one depth of features."""
    old = _extractor(source)
    with tempfile.TemporaryDirectory(prefix="rung-backbone-") as scratch:
        place = Path(scratch) / "backbone"
        shutil.copytree(old.backbone.folder, place)
        _rewrite(place, _cut_last_depth, old.backbone.config.widths[:-1])
        shorter = BackboneExtractor(Backbone.open(place), old.preprocessing)
        return _refit(source, folder, shorter, {"depths": len(shorter.backbone.config.widths)})


def _extractor(source: Source) -> BackboneExtractor:
    facts = json.loads((source.folder / HEAD_FILE).read_text(encoding="utf-8"))
    found = load_extractor(source.folder, facts["extractor"])
    if not isinstance(found, BackboneExtractor):
        raise RungError("the model has no backbone", source.family, "Its bundle serves as it is.")
    return found


def _refit(source: Source, folder: Path, extractor: BackboneExtractor, changed: dict[str, Any]) -> str:
    """Write the family over another extractor, its head of the kind and strength that the search had chosen."""
    rows = taught(source)
    chosen = json.loads((source.folder / HEAD_FILE).read_text(encoding="utf-8"))["chosen"]
    head = HeadParams(chosen["head"], float(chosen["c"]), bool(chosen.get("curved")))
    found = fit_image_head(vectors_of(extractor, rows.inputs), rows, head, source.context)
    family: Any = registry.model(source.family)
    shown = {"weights": chosen["weights"], "side": extractor.preprocessing.width, **found.chosen, **changed}
    family(source.schema.classes, extractor, found.head, shown, found.nystroem).save(folder)
    return source.family


def _rewrite(folder: Path, change: Callable[[Path], None], widths: tuple[int, ...] | None = None) -> None:
    """Change a backbone's file and give it a new id."""
    config = BackboneConfig.read(folder)
    change(folder / "model.onnx")
    identity = hashlib.blake2b((folder / "model.onnx").read_bytes(), digest_size=8).hexdigest()
    replace(config, id=identity, widths=widths or config.widths).write(folder)


def _cut_last_depth(path: Path) -> None:
    """Leave the last part of the features out of the graph, and all that is only there for it."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    joined = makers[makers[FEATURES].input[0]]
    if joined.op_type != "Concat" or len(joined.input) < 2:
        raise RungError("the backbone has one depth of features", path.name, "Its blocks stay.")
    del joined.input[-1]
    needed, wanted = set(), [FEATURES]
    while wanted:
        name = wanted.pop()
        needed.add(name)
        wanted += [one for one in (makers[name].input if name in makers else ()) if one and one not in needed]
    kept = [node for node in graph.node if set(node.output) & needed]
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(weights)
    for size in graph.output[0].type.tensor_type.shape.dim[1:]:
        size.Clear()
    onnx.save(model, path)
