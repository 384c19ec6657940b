"""Export to the browser: a static folder of plain JavaScript that reads the bundle's own files; also for Node.js."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rung.exporting.browser_checks import check
from rung.exporting.browser_data import packed_script, python_unicode, unicode_script
from rung.exporting.c_arrays import filled
from rung.exporting.source import Source
from rung.exporting.target import ExportRefused, Note, Target
from rung.modalities.tables.fitted import FittedTable
from rung.modalities.tables.label_parts import LabelParts
from rung.modalities.tables.model import TableModel
from rung.modalities.text.embedding_model import EmbeddingModel

_TEMPLATES = Path(__file__).parent / "templates" / "browser"
_STEPS = {"unicode", "width", "html", "whitespace"}
_KINDS = {"text", "number", "category", "time"}
_TEXT_FAMILIES = {"tfidf_linear", "static_embedding"}
# A model this large takes a browser seconds to read.
_LARGE_MB = 20.0


def write(source: Source, folder: Path) -> Sequence[Note]:
    """Write the page, the module, the code and the model."""
    names = _model_files(source)
    _require_supported(source)
    about = _about(source)
    name = source.manifest.name
    (folder / "predict.js").write_text(code(), encoding="utf-8")
    (folder / "model.js").write_text(packed_script(about, source.folder / "model", names), encoding="utf-8")
    for template in ("page.css", "page.js"):
        (folder / template).write_bytes((_TEMPLATES / template).read_bytes())
    (folder / "package.json").write_text(
        json.dumps(
            {
                "name": name.lower(),
                "version": "1.0.0",
                "type": "module",
                "main": "index.mjs",
                "private": True,
            },
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    )
    size_mb = (folder / "model.js").stat().st_size / 1e6
    filling = {
        "NAME": name, "CODE_KB": round((folder / "predict.js").stat().st_size / 1000), "MODEL_MB": f"{size_mb:.2g}",
        "UNICODE": python_unicode(), "EXAMPLE": json.dumps(about["example"], ensure_ascii=False),
    }  # fmt: skip
    for template, target in (
        ("index.mjs.txt", "index.mjs"),
        ("page.html.txt", "index.html"),
        ("README.txt", "README.md"),
    ):
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        (folder / target).write_text(filled(text, **filling), encoding="utf-8")
    notes = [Note("browser", {"kb": filling["CODE_KB"], "unicode": filling["UNICODE"]})]
    return [*notes, *([Note("large_model", {"mb": f"{size_mb:.0f}"})] if size_mb > _LARGE_MB else [])]


TARGET = Target("browser", write, check)


def code() -> str:
    """Return the code as one script that sets `rung`; the same for every model."""
    parts = [path.read_text(encoding="utf-8") for path in sorted(_TEMPLATES.glob("[0-9]_*.js"))]
    head = f"// Written by rung {version('rung')}, Apache-2.0. Reads rung's model files and answers as its server does."
    body = "\n".join([f"const UNICODE = {unicode_script()};", *parts])
    return f'{head}\n"use strict";\nglobalThis.rung = (() => {{\n{body}}})();\n'


def _model_files(source: Source) -> list[str]:
    """Return the files that the code reads; raises ExportRefused for a model that it does not know."""
    model, where = source.predictor.model, source.folder.name
    if isinstance(model, TableModel):
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
    if source.manifest.model not in _TEXT_FAMILIES:
        raise ExportRefused(
            f"'{source.manifest.model}' is not among the models that run as plain JavaScript: tfidf_linear, static_embedding "
            "and the models of tables",
            where,
            "Export to wheel, or build with a ladder of these rungs.",
        )
    names = ["head.json", "weights.safetensors"]
    if isinstance(model, EmbeddingModel):
        _require_tokenizer(source)
        names += ["encoder/tokenizer.json", "encoder/embedding.safetensors"]
    return names


def _require_supported(source: Source) -> None:
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


def _about(source: Source) -> dict[str, Any]:
    """Return what the code and the page must know of the bundle."""
    manifest = source.manifest
    schema = manifest.schema.as_dict()
    for field in schema["inputs"]:
        field["unused"] = field["name"] in source.predictor.unused
    certificate = manifest.certificate
    return {
        "name": manifest.name, "version": manifest.version, "task": manifest.task, "model": manifest.model, "rung": manifest.rung,
        "rung_version": manifest.rung_version, "schema": schema, "clean": dict(manifest.clean), "words": _words(source),
        "certificate": {"claim": certificate["claim"]} if certificate else None, "example": _example(source),
    }  # fmt: skip


def _words(source: Source) -> Mapping[str, Sequence[str]]:
    """Return the known words of each category, for the page's form."""
    model = source.predictor.model
    fitted = model.fitted if isinstance(model, TableModel) else None
    return fitted.features.categories if isinstance(fitted, FittedTable) else {}


def _example(source: Source) -> dict[str, Any]:
    """Return a row for the form: of text nothing, since packed examples are rows of people; of tables a packed row."""
    if any(field.kind == "text" for field in source.manifest.schema.inputs):
        return {field.name: "" for field in source.manifest.schema.inputs}
    return source.predictor.example() or {}
