"""Which bundles the browser's code can hold: the files that it reads of each, and why the others are refused."""

from __future__ import annotations

import json

from rung.exporting.source import Source
from rung.exporting.target import ExportRefused
from rung.modalities.images.image_model import ImageModel
from rung.modalities.tables.label_parts import LabelParts
from rung.modalities.tables.model import TableModel
from rung.modalities.text.embedding_model import EmbeddingModel

_STEPS = {"unicode", "width", "html", "whitespace"}
_KINDS = {"text", "number", "category", "time", "image"}
_TEXT_FAMILIES = {"tfidf_linear", "static_embedding"}


def model_files(source: Source) -> list[str]:
    """Return the files that the code reads; raises ExportRefused for a bundle that it does not know."""
    model = source.predictor.model
    if isinstance(model, TableModel):
        names = _table_files(source, model)
    elif isinstance(model, ImageModel):
        names = _image_files(source)
    elif source.manifest.model in _TEXT_FAMILIES:
        names = ["head.json", "weights.safetensors"]
        if isinstance(model, EmbeddingModel):
            _require_tokenizer(source)
            names += ["encoder/tokenizer.json", "encoder/embedding.safetensors"]
    else:
        raise ExportRefused(
            f"'{source.manifest.model}' is not among the models that run in a browser: {', '.join(sorted(_TEXT_FAMILIES))}, "
            "pixels_linear, hog_linear and the models of tables",
            source.folder.name,
            "Export to wheel, or build with a ladder of these rungs.",
        )
    _require_fields(source)
    return names


def _table_files(source: Source, model: TableModel) -> list[str]:
    where = source.folder.name
    if isinstance(model.fitted, LabelParts):
        raise ExportRefused(
            "the browser's code answers one label or one number of a table, and this product answers several labels",
            where,
            "Export to wheel.",
        )
    if "network" in model.fitted.kinds:
        raise ExportRefused(
            "the browser's code holds no networks",
            where,
            "Use linear_table, boosted_trees or stack without networks.",
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
    if facts["extractor"]["kind"] != "pixels":
        raise ExportRefused(
            "the browser's code holds no networks of images",
            source.folder.name,
            "Use pixels_linear or hog_linear, or export to wheel.",
        )
    return ["head.json", "weights.safetensors"]


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
