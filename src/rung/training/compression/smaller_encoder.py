"""A sentence encoder with fewer layers or in 8 bits, made from its own weights; the head is fitted anew on its vectors."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.errors import RungError
from rung.modalities.text.onnx_encoder import EncoderConfig
from rung.runtime.linear.head import WEIGHTS_FILE
from rung.training.compression.recipe import Make, Source
from rung.training.compression.students import taught
from rung.training.text.encoder_export import VARIANTS, export_encoder, exported_folder, read_encoder

HEAD_FILE = "head.json"


def keep_layers(layers: int | None, variant: str = "int8") -> Make:
    """Return the recipe that keeps the first layers of the encoder (None: all), written in that precision."""
    return partial(_shortened, layers=layers, variant=variant)


def _shortened(source: Source, folder: Path, layers: int | None, variant: str) -> str:
    name = weights_of(source)
    there = EncoderConfig.read(source.folder / "encoder")
    if layers is None and there.variant == variant:
        raise RungError(f"the encoder is in {variant} already", name, "Nothing is to be gained.")
    refit(source, folder, encoder_with(name, layers, variant), f"{name}, {_said(layers, variant)}")
    return source.family


def _said(layers: int | None, variant: str) -> str:
    return variant if layers is None else f"{layers} layers, {variant}"


def weights_of(source: Source) -> str:
    """Return the name of the weights that the encoder of a model was made from."""
    return EncoderConfig.read(source.folder / "encoder").source


def encoder_with(name: str, layers: int | None, variant: str) -> Path:
    """Return the folder of an encoder with its first layers, made on first use from weights that are on this machine.

    Raises RungError where it has no more layers than that, or is a graph without weights of its own.
    """
    assert variant in VARIANTS
    folder = exported_folder(name, variant if layers is None else f"{variant}-{layers}layers")
    if (folder / "encoder.json").is_file():
        return folder
    bert, tokenizer, config = read_encoder(name)
    if layers is not None and layers >= len(bert.layers):
        raise RungError(f"the encoder has {len(bert.layers)} layers", name, "Nothing is to be gained.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
        ready = Path(scratch) / "ready"
        ready.mkdir()
        export_encoder(replace(bert, layers=bert.layers[:layers]), tokenizer, ready, config, variant)
        if not (folder / "encoder.json").is_file():
            ready.rename(folder)
    return folder


def refit(source: Source, folder: Path, encoder: Path, said: str) -> None:
    """Write the source's family over another encoder, its head fitted anew. said: what report and card call the weights.

    The kind and strength of the head are those that the search had chosen, where they are of the same features.
    """
    family = registry.model(source.family)
    family.require()
    named = f"file:{encoder}"
    chosen = json.loads((source.folder / HEAD_FILE).read_text(encoding="utf-8"))["chosen"]
    params = replace(source.params, weights=named, **_same_head(source.params, chosen))
    model: Any = family.fit(taught(source), params, source.context)
    model.save(folder)
    # No folder of this machine stands in a bundle.
    head = folder / HEAD_FILE
    head.write_text(head.read_text(encoding="utf-8").replace(named, said), encoding="utf-8")
    assert (folder / WEIGHTS_FILE).is_file()


def _same_head(params: Any, chosen: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name for field in fields(params)}
    if chosen.get("curved") or not {"head", "c"} <= known or "head" not in chosen:
        return {}
    return {"head": chosen["head"], "c": float(chosen["c"])} if "words" not in known else {}
