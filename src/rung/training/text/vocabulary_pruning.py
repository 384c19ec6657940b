"""Shrink a many-language encoder to the tokens that a product's languages use."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import MissingExtra, RungError
from rung.modalities.text.onnx_encoder import EncoderConfig
from rung.modalities.text.tokenize import token_ids
from rung.training.text.encoder_export import encoder_identity


def prune_vocabulary(
    folder: Path, target: Path, texts: Iterable[str], most_common: int = 30_000
) -> EncoderConfig:
    """Write a smaller copy of an exported encoder into `target`, a new folder; return its configuration.

    Kept are the special tokens, every token that `texts` use, every single character and the `most_common`
    pieces. The embeddings of `texts` do not change at all: the best segmentation of a text is still the best when
    pieces it does not use are gone. Other texts keep theirs as far as their tokens were kept; rarer words fall
    into smaller pieces. Raises RungError for a tokenizer that is not of the Unigram kind.
    """
    try:
        import onnx
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("shrinking an encoder", "build", str(error.name)) from None
    config = EncoderConfig.read(folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    if content["model"].get("type") != "Unigram":
        raise RungError(
            "only Unigram vocabularies are shrunk; others are small.", str(folder / "tokenizer.json"), ""
        )
    tokenizer = Tokenizer.from_str(json.dumps(content))
    rows = _kept(content, token_ids(tokenizer, [config.prefix + text for text in texts]), most_common)
    model = onnx.load(folder / "model.onnx")
    tables = {
        node.input[0]
        for node in model.graph.node
        if node.op_type == "Gather" and node.input[1] == "input_ids"
    }
    if not tables:
        raise RungError(
            "no table of token embeddings was found.", str(folder / "model.onnx"), "Export it again."
        )
    for constant in model.graph.initializer:
        if constant.name in tables:
            values = onnx.numpy_helper.to_array(constant)[rows]
            constant.CopyFrom(onnx.numpy_helper.from_array(values, constant.name))
    target.mkdir(parents=True)
    onnx.save(model, target / "model.onnx")
    smaller = json.dumps(_renumbered(content, rows), ensure_ascii=False)
    (target / "tokenizer.json").write_text(smaller, encoding="utf-8")
    done = replace(config, id=encoder_identity(target))
    done.write(target)
    return done


def _kept(content: dict[str, Any], used: list[list[int]], most_common: int) -> NDArray[np.int64]:
    """Return the old ids of the kept tokens, ascending."""
    vocabulary = content["model"]["vocab"]
    kept = {token["id"] for token in content["added_tokens"]} | {content["model"]["unk_id"]}
    kept.update(*used)
    kept.update(number for number, (piece, _) in enumerate(vocabulary) if len(piece) == 1)
    common = sorted(range(len(vocabulary)), key=lambda number: -vocabulary[number][1])
    kept.update(common[:most_common])
    return np.array(sorted(kept), np.int64)


def _renumbered(content: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    new = {int(old): number for number, old in enumerate(rows)}
    model = content["model"]
    vocabulary = [model["vocab"][old] for old in rows]
    processor = content["post_processor"]
    special = {
        name: {**token, "ids": [new[old] for old in token["ids"]]}
        for name, token in processor["special_tokens"].items()
    }
    return {
        **content,
        "added_tokens": [{**token, "id": new[token["id"]]} for token in content["added_tokens"]],
        "post_processor": {**processor, "special_tokens": special},
        "model": {**model, "vocab": vocabulary, "unk_id": new[model["unk_id"]]},
    }
