"""Keep the tokens that the product's texts use: most of a small many-language encoder is its table of tokens.

Texts that were seen become the same tokens as before. WordPiece takes the longest known piece at each place: pieces that were
never taken cannot have been the longest. Unigram takes the likeliest split: the likeliest of all is still there, and still the
likeliest of fewer. So that words of other texts are not spelt out, the most common tokens of the scripts that the texts are written
in stay as well, and single characters; what cannot be spelt becomes the unknown token. What that
costs on texts that were not seen is measured on held-out rows, whose tokens the fold's vocabulary does not know of.
"""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.errors import MissingExtra, RungError
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.onnx_encoder import EncoderConfig
from rung.modalities.text.tokenize import replace_lone_surrogates, vocabulary_of
from rung.training.compression.recipe import Source
from rung.training.text.encoder_export import encoder_identity

_ONNX, _TOKENIZER = "model.onnx", "tokenizer.json"
_IDS = "input_ids"
_MARKS = ("##", "\u2581")
# Common tokens that stay, the share of letters that makes a script one of the texts', and the letters of a text that are looked at.
_MOST_COMMON, _SCRIPT_SHARE, _SCRIPT_CHARS = 12_000, 0.001, 300


def fewer_tokens(source: Source, folder: Path) -> str:
    """Copy the model with the encoder's vocabulary cut to what its rows use; the head stays as it is."""
    shutil.copytree(source.folder, folder, dirs_exist_ok=True)
    encoder = folder / "encoder"
    config = EncoderConfig.read(encoder)
    texts = [config.prefix + text for text in join_fields({**source.learn.inputs})]
    if source.unlabelled:
        texts += [config.prefix + text for text in join_fields(source.unlabelled)]
    tokenizer = json.loads((encoder / _TOKENIZER).read_text(encoding="utf-8"))
    kept = used_tokens(tokenizer, texts)
    cut_graph(encoder / _ONNX, kept)
    (encoder / _TOKENIZER).write_text(
        json.dumps(cut_tokenizer(tokenizer, kept), ensure_ascii=False), encoding="utf-8"
    )
    replace(config, id=encoder_identity(encoder)).write(encoder)
    return source.family


def used_tokens(tokenizer: Mapping[str, Any], texts: Sequence[str]) -> list[int]:
    """Return the ids to keep, ascending: of tokens in the texts, of common ones in their scripts, single characters, special tokens.

    tokenizer: the content of a tokenizer.json. Raises RungError for a tokenizer whose tokens are built from others.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise MissingExtra("a smaller vocabulary", "build", "tokenizers") from None
    kind = tokenizer["model"].get("type")
    if kind not in {"WordPiece", "Unigram", "WordLevel"}:
        raise RungError(
            f"tokens of a tokenizer of the kind '{kind}' are built from others",
            _TOKENIZER,
            "It keeps its vocabulary.",
        )
    reader = Tokenizer.from_str(json.dumps(tokenizer))
    reader.no_truncation()
    reader.no_padding()
    found = {number for text in texts for number in reader.encode(replace_lone_surrogates(text)).ids}
    found |= {int(token["id"]) for token in tokenizer.get("added_tokens", ())}
    for token, number in vocabulary_of(tokenizer):
        if len(token.removeprefix(_MARKS[0]).removeprefix(_MARKS[1])) <= 1 or token == tokenizer["model"].get(
            "unk_token"
        ):
            found.add(number)
    found |= _common(tokenizer, texts)
    if kind == "Unigram" and tokenizer["model"].get("unk_id") is not None:
        found.add(int(tokenizer["model"]["unk_id"]))
    return sorted(found)


def _common(tokenizer: Mapping[str, Any], texts: Sequence[str]) -> set[int]:
    """Return the most common tokens in the scripts of these texts; vocabularies list what is more common first."""
    counts = Counter(_script(char) for text in texts for char in text[:_SCRIPT_CHARS] if char.isalpha())
    scripts = {script for script, count in counts.items() if count >= _SCRIPT_SHARE * sum(counts.values())}
    found: set[int] = set()
    for token, number in sorted(vocabulary_of(tokenizer), key=lambda pair: pair[1]):
        letters = [char for char in token.strip("#\u2581") if char.isalpha()]
        if letters and all(_script(char) in scripts for char in letters):
            found.add(number)
            if len(found) == _MOST_COMMON:
                break
    return found


def _script(char: str) -> str:
    """Return the script of a letter: the first word of its name in Unicode."""
    return unicodedata.name(char, "?").partition(" ")[0]


def cut_tokenizer(tokenizer: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """Return a tokenizer.json that knows these tokens alone, numbered from 0 in their order."""
    new = {old: number for number, old in enumerate(kept)}
    found: dict[str, Any] = json.loads(json.dumps(tokenizer))
    model = found["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {token: new[number] for token, number in model["vocab"].items() if number in new}
    else:
        model["vocab"] = [model["vocab"][number] for number in kept if number < len(model["vocab"])]
        if model.get("unk_id") is not None:
            model["unk_id"] = new[model["unk_id"]]
    for token in found.get("added_tokens", ()):
        token["id"] = new[token["id"]]
    _renumber(found.get("post_processor"), new)
    found["truncation"] = found["padding"] = None
    return found


def _renumber(processor: Any, new: Mapping[int, int]) -> None:
    """Give the special tokens of a post-processor their new numbers, in place."""
    if not processor:
        return
    for part in processor.get("processors", ()):
        _renumber(part, new)
    for special in (
        processor.get("special_tokens", {}).values() if processor["type"] == "TemplateProcessing" else ()
    ):
        special["ids"] = [new[number] for number in special["ids"]]
    for name in ("sep", "cls"):
        if isinstance(processor.get(name), list):
            processor[name][1] = new[processor[name][1]]


def cut_graph(path: Path, kept: Sequence[int]) -> None:
    """Cut the tables of an ONNX file that are looked up by token, in place; raises RungError where there is none."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise MissingExtra("a smaller vocabulary", "build", "onnx") from None
    model = onnx.load(path)
    names = {node.input[0] for node in model.graph.node if node.op_type == "Gather" and node.input[1] == _IDS}
    tables = [tensor for tensor in model.graph.initializer if tensor.name in names]
    if not tables or any(tensor.dims[0] <= max(kept) for tensor in tables):
        raise RungError("no table is looked up by token", path.name, "The encoder keeps its vocabulary.")
    for tensor in tables:
        rows = numpy_helper.to_array(tensor)[np.asarray(kept)]
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(rows), tensor.name))
    onnx.save(model, path)
