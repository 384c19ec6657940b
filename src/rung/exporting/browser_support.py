"""Which bundles the browser's code can hold: the files that it reads of each, and why the others are refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rung.exporting.source import Source
from rung.exporting.target import ExportRefused
from rung.modalities.images.image_model import ImageModel
from rung.modalities.images.network_model import ImageNetwork
from rung.modalities.tables.label_parts import LabelParts
from rung.modalities.tables.model import TableModel
from rung.modalities.text.embedding_model import EmbeddingModel
from rung.modalities.text.network_model import NetworkModel, open_tokenizer
from rung.modalities.text.onnx_encoder import LAYERS, embedding_output
from rung.runtime.onnx.session import open_session

_STEPS = {"unicode", "width", "html", "whitespace"}
# What tokenizers.js 0.2.0 has; "Nmt" the export's own code has, as the first step.
_TOKENIZER_PARTS = {
    "NFD", "NFKC", "NFC", "NFKD", "Lowercase", "Strip", "StripAccents", "Replace", "Prepend", "BertNormalizer", "Precompiled", "Sequence",
    "BertPreTokenizer", "ByteLevel", "Whitespace", "WhitespaceSplit", "Metaspace", "CharDelimiterSplit", "Split", "Punctuation",
    "Digits", "BPE", "WordPiece", "Unigram",
}  # fmt: skip
_KINDS = {"text", "number", "category", "time", "image"}


def model_files(source: Source) -> list[str]:
    """Return the files that the code reads; raises ExportRefused for a bundle that it does not know."""
    model = source.predictor.model
    if isinstance(model, TableModel):
        names = _table_files(source, model)
    elif isinstance(model, ImageModel):
        names = _image_files(source)
    elif isinstance(model, ImageNetwork):
        names = ["network.json", "model.onnx"]
    elif isinstance(model, NetworkModel):
        names = ["network.json", "tokenizer.json", "model.onnx"]
    elif isinstance(model, EmbeddingModel):
        names = ["head.json", "weights.safetensors", *_embedder_files(source)]
    elif source.manifest.model == "tfidf_linear":
        names = ["head.json", "weights.safetensors"]
    else:
        raise ExportRefused(
            f"'{source.manifest.model}' is not among the models that run in a browser: those of tables, of n-grams and embeddings, "
            "linear models and networks of texts and images",
            source.folder.name,
            "Export to wheel, or build with a ladder of these rungs.",
        )
    if needs_tokenizers(names):
        _require_network_tokenizer(source, next(name for name in names if name.endswith("tokenizer.json")))
    _require_fields(source)
    return names


def has_network(names: Sequence[str]) -> bool:
    """Return whether files of a model need a runtime of networks."""
    return any(name.endswith(".onnx") for name in names)


def needs_tokenizers(names: Sequence[str]) -> bool:
    """Return whether files of a model need the tokenizers of a network; static vectors have the export's own."""
    return has_network(names) and any(name.endswith("tokenizer.json") for name in names)


def _table_files(source: Source, model: TableModel) -> list[str]:
    where = source.folder.name
    if isinstance(model.fitted, LabelParts):
        raise ExportRefused(
            "the browser's code answers one label or one number of a table, and this product answers several labels",
            where,
            "Export to wheel.",
        )
    if any(field.format is None for field in source.manifest.schema.inputs):
        raise ExportRefused(
            "the bundle is of version 0.1, which read cells otherwise",
            where,
            "Build it again with this version.",
        )
    return ["table.json", "table.safetensors"]


def _image_files(source: Source) -> list[str]:
    facts = json.loads((source.folder / "model" / "head.json").read_text(encoding="utf-8"))
    network = (
        ["backbone/backbone.json", "backbone/model.onnx"] if facts["extractor"]["kind"] == "backbone" else []
    )
    return ["head.json", "weights.safetensors", *network]


def _embedder_files(source: Source) -> list[str]:
    folder = source.folder / "model" / "encoder"
    if json.loads((folder / "embedder.json").read_text(encoding="utf-8"))["kind"] == "static":
        _require_tokenizer(source)
        return ["encoder/tokenizer.json", "encoder/embedding.safetensors"]
    names = ("tokenizer.json", "encoder.json", "embedder.json", "model.onnx")
    return [f"encoder/{name}" for name in names]


def encoder_facts(source: Source) -> dict[str, Any]:
    """Return what the code must know of a sentence encoder that its files do not say: special tokens, and the output it reads."""
    folder = source.folder / "model" / "encoder"
    tokenizer = open_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ends = tokenizer.encode("").ids
    config = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    given = [item.name for item in open_session(folder / "model.onnx", "model.onnx").get_outputs()]
    output = LAYERS if config.get("layers", 1) > 1 else embedding_output(given)
    return {"head": ends[:1], "tail": ends[1:], "output": output}


def _require_fields(source: Source) -> None:
    manifest, where = source.manifest, source.folder.name
    for field in manifest.schema.inputs:
        if field.kind not in _KINDS:
            raise ExportRefused(
                f"the browser's code does not read the kind '{field.kind}'", where, "Export to wheel."
            )
    unknown = [item["step"] for item in manifest.clean.get("steps", ()) if item["step"] not in _STEPS]
    if unknown or manifest.clean.get("mask") or manifest.clean.get("drop"):
        what = f"the cleaning step '{unknown[0]}'" if unknown else "the masking of personal data"
        raise ExportRefused(f"the browser's code does not have {what}", where, "Export to wheel.")


def _require_network_tokenizer(source: Source, name: str) -> None:
    """Raise ExportRefused for a tokenizer with a part that JavaScript does not have."""
    settings = json.loads((source.folder / "model" / name).read_text(encoding="utf-8"))
    found = [settings["model"].get("type", "")]
    for key, inner in (("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers")):
        part = settings.get(key) or {}
        steps = part.get(inner, [part] if part else [])
        found += [
            step["type"]
            for place, step in enumerate(steps)
            if place or step["type"] != "Nmt" or len(steps) == 1
        ]
    unknown = sorted(set(found) - _TOKENIZER_PARTS)
    if unknown:
        raise ExportRefused(
            f"the tokenizer has the part '{unknown[0]}', which tokenizers in a browser do not have",
            source.folder.name,
            "Export to wheel.",
        )


def _require_tokenizer(source: Source) -> None:
    """Raise ExportRefused unless the tokenizer is byte-pair encoding with a mark for blanks, as the code has it."""
    settings = json.loads(
        (source.folder / "model" / "encoder" / "tokenizer.json").read_text(encoding="utf-8")
    )
    model = settings["model"]
    normalizers = (settings.get("normalizer") or {}).get("normalizers", ())
    plain = {
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "dropout": None,
        "ignore_merges": False,
    }
    known = (
        [item.get("type") for item in normalizers] == ["Prepend", "Replace"]
        and settings.get("pre_tokenizer") is None
        and model.get("type") == "BPE"
        and model.get("byte_fallback")
        and all(model.get(key, value) in (value, "") for key, value in plain.items())
        and all(f"<0x{byte:02X}>" in model["vocab"] for byte in range(256))
        and not any(
            token.get(key)
            for token in settings["added_tokens"]
            for key in ("lstrip", "rstrip", "single_word", "normalized")
        )
    )
    if not known:
        raise ExportRefused(
            "the tokenizer of these static vectors is not one that the browser's code has",
            source.folder.name,
            "Export to wheel.",
        )
