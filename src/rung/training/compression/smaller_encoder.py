"""A sentence encoder with fewer layers or in 8 bits, made from its own weights; the head is fitted anew on its vectors."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rung.core import registry
from rung.core.errors import MissingExtra, RungError
from rung.core.model import FitContext
from rung.modalities.text.embedder import Embedder, load_embedder
from rung.modalities.text.network_model import TextInputs, encode_texts, open_tokenizer
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.onnx_encoder import EncoderConfig
from rung.modalities.text.tokenize import replace_lone_surrogates
from rung.runtime.linear.head import WEIGHTS_FILE
from rung.training.compression.recipe import Make, Source
from rung.training.compression.students import taught
from rung.training.text.bert_weights import BertWeights
from rung.training.text.encoder_export import VARIANTS, export_encoder, exported_folder, read_encoder
from rung.training.text.encoder_width import narrower

HEAD_FILE = "head.json"
# Tokens of a text that is trained on, texts on which the say of heads and units is measured, characters a token rarely exceeds.
_TRAIN_TOKENS, _MEASURED, _CHARS_PER_TOKEN = 128, 64, 12


def keep_layers(layers: int | None, variant: str = "int8") -> Make:
    """Return the recipe that keeps so many layers of the encoder (None: all), written in that precision."""
    return partial(_shortened, layers=layers, variant=variant)


def _shortened(source: Source, folder: Path, layers: int | None, variant: str) -> str:
    name = weights_of(source)
    there = EncoderConfig.read(source.folder / "encoder")
    if layers is None and there.variant == variant:
        raise RungError(f"the encoder is in {variant} already", name, "Nothing is to be gained.")
    refit(source, folder, encoder_with(name, layers, variant), f"{name}, {_said(layers, variant)}")
    return source.family


def cut_and_trained(layers: int | None, share: float) -> Make:
    """Return the recipe that keeps so many layers (None: all) and this share of each one's width, trains what is left, and writes it in 8 bits."""
    return partial(_trained, layers=layers, share=share)


def _trained(source: Source, folder: Path, layers: int | None, share: float) -> str:
    name = weights_of(source)
    texts = [
        *join_fields(source.learn.inputs),
        *(join_fields(source.unlabelled) if source.unlabelled else ()),
    ]
    with tempfile.TemporaryDirectory(prefix="rung-trained-") as scratch:
        encoder = Path(scratch)
        write_trained(
            name, texts, load_embedder(source.folder / "encoder"), (layers, share), encoder, source.context
        )
        refit(source, folder, encoder, f"{name}, {_said(layers, 'int8')}, {share:.0%} wide, trained")
    return source.family


def write_trained(
    name: str, texts: Sequence[str], whole: Embedder, kept: tuple[int | None, float], folder: Path, context: FitContext
) -> None:  # fmt: skip
    """Write an encoder in 8 bits of which layers (None: all) and this share of each one's width were kept, trained on these texts.

    name: of the weights. whole: the encoder that it is trained towards. Raises MissingExtra without torch.
    """
    try:
        from rung.training.torch.encoder_finetune import encoder_source
        from rung.training.torch.encoder_recovery import recover
    except ImportError:
        raise MissingExtra("training after a cut", "train", "torch") from None
    bert, tokenizer, config = read_encoder(name)
    layers, share = kept
    source = encoder_source(name, _TRAIN_TOKENS)
    ids, read = first_tokens(open_tokenizer(source.tokenizer), texts, source.inputs)
    cut = with_layers(bert, layers)
    if share < 1:
        cut = narrower(cut, source.tokenizer, read[:: max(len(read) // _MEASURED, 1)][:_MEASURED], share)
    trained = recover(cut, config.pooling, ids, whole.embed(read), context)
    export_encoder(trained, tokenizer, folder, config, "int8")


def first_tokens(
    tokenizer: Any, texts: Sequence[str], inputs: TextInputs
) -> tuple[list[list[int]], list[str]]:
    """Return the ids of each text's first tokens, special ones included, and the text that they are."""
    room = inputs.max_tokens - len(inputs.before) - len(inputs.after)
    read = []
    for text in texts:
        start = replace_lone_surrogates(text[: room * _CHARS_PER_TOKEN])
        offsets = tokenizer.encode(start, add_special_tokens=False).offsets
        read.append(start[: offsets[room - 1][1]] if len(offsets) > room else start)
    return encode_texts(tokenizer, read, inputs), read


def _said(layers: int | None, variant: str) -> str:
    return variant if layers is None else f"{layers} layers, {variant}"


def weights_of(source: Source) -> str:
    """Return the name of the weights that the encoder of a model was made from."""
    return EncoderConfig.read(source.folder / "encoder").source


def encoder_with(name: str, layers: int | None, variant: str) -> Path:
    """Return the folder of an encoder with so many of its layers, made on first use from weights that are on this machine.

    Raises RungError where it has no more layers than that, or is a graph without weights of its own.
    """
    assert variant in VARIANTS
    folder = exported_folder(name, variant if layers is None else f"{variant}-{layers}spread")
    if (folder / "encoder.json").is_file():
        return folder
    bert, tokenizer, config = read_encoder(name)
    if layers is not None and layers >= len(bert.layers):
        raise RungError(f"the encoder has {len(bert.layers)} layers", name, "Nothing is to be gained.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
        ready = Path(scratch) / "ready"
        ready.mkdir()
        export_encoder(with_layers(bert, layers), tokenizer, ready, config, variant)
        if not (folder / "encoder.json").is_file():
            ready.rename(folder)
    return folder


def with_layers(bert: BertWeights, layers: int | None) -> BertWeights:
    """Return an encoder with so many of its layers, spread evenly: the first and the last stay, neighbours are dropped between them.

    The last layers turn states into what texts are compared by; without the middle ones they still find it, while an
    encoder that ends in the middle does not (`benchmarks/results/compress.md`).
    """
    if layers is None:
        return bert
    places = np.unique(np.linspace(0, len(bert.layers) - 1, layers).round().astype(int))
    return replace(bert, layers=tuple(bert.layers[place] for place in places))


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
