"""Export to the browser: a static folder of plain JavaScript that reads the bundle's own files; also for Node.js."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rung.exporting.browser_checks import check
from rung.exporting.browser_data import packed_script, python_unicode, unicode_script
from rung.exporting.browser_images import drawing_frame, preprocessing_of
from rung.exporting.browser_runtime import write_runtime
from rung.exporting.browser_support import encoder_facts, has_network, model_files, needs_tokenizers
from rung.exporting.c_arrays import filled
from rung.exporting.source import Source
from rung.exporting.target import Note, Target
from rung.modalities.tables.fitted import FittedTable
from rung.modalities.tables.model import TableModel

_TEMPLATES = Path(__file__).parent / "templates" / "browser"
# A model this large takes a browser seconds to read.
_LARGE_MB = 20.0


def write(source: Source, folder: Path) -> Sequence[Note]:
    """Write the page, the module, the code and the model."""
    names = model_files(source)
    is_network = has_network(names)
    runtime = write_runtime(folder, needs_tokenizers(names)) if is_network else []
    about = _about(source, names)
    script = code(images=bool(about["reading"]), networks=is_network)
    (folder / "predict.js").write_text(script, encoding="utf-8")
    (folder / "model.js").write_text(packed_script(about, source.folder / "model", names), encoding="utf-8")
    scripts = [*runtime, "predict.js", "model.js"]
    on_page = [*(["page_images.js"] if about["reading"] else []), "page.js"]
    for template in ("page.css", *on_page):
        (folder / template).write_bytes((_TEMPLATES / template).read_bytes())
    (folder / "package.json").write_text(_package(source.manifest.name), encoding="utf-8")
    size_mb = (folder / "model.js").stat().st_size / 1e6
    filling = {
        "NAME": source.manifest.name, "CODE_KB": round((folder / "predict.js").stat().st_size / 1000), "MODEL_MB": f"{size_mb:.2g}",
        "UNICODE": python_unicode(), "EXAMPLE": _shown_example(about), "WASM": " 'wasm-unsafe-eval'" if is_network else "",
        "IMPORTS": "\n".join(f'import "./{name}";' for name in scripts),
        "SCRIPTS": "\n".join(f'<script src="{name}"></script>' for name in [*scripts, *on_page]),
    }  # fmt: skip
    for template, target in (
        ("index.mjs.txt", "index.mjs"),
        ("page.html.txt", "index.html"),
        ("README.txt", "README.md"),
    ):
        text = (_TEMPLATES / template).read_text(encoding="utf-8")
        (folder / target).write_text(filled(text, **filling), encoding="utf-8")
    notes = [
        Note(
            "browser_network",
            {
                "mb": f"{_packed_mb(folder, [*runtime, 'predict.js', *on_page]):.2f}",
                "unicode": filling["UNICODE"],
            },
        )
        if is_network
        else Note("browser", {"kb": filling["CODE_KB"], "unicode": filling["UNICODE"]})
    ]
    notes += [Note("browser_images")] if about["reading"] else []
    return [*notes, *([Note("large_model", {"mb": f"{size_mb:.0f}"})] if size_mb > _LARGE_MB else [])]


TARGET = Target("browser", write, check)


def code(images: bool = True, networks: bool = True) -> str:
    """Return the code as one script that sets `rung`: what all models need, with what reads images, or with everything."""
    left_out = (
        () if networks else ("9_networks.js",) if images else ("8_pixels.js", "9_images.js", "9_networks.js")
    )
    files = [*sorted(_TEMPLATES.glob("[0-9]_*.js")), _TEMPLATES / "open.js"]
    parts = [path.read_text(encoding="utf-8") for path in files if path.name not in left_out]
    head = f"// Written by rung {version('rung')}, Apache-2.0. Reads rung's model files and answers as its server does."
    body = "\n".join([f"const UNICODE = {unicode_script()};", *parts])
    return f'{head}\n"use strict";\nglobalThis.rung = (() => {{\n{body}}})();\n'


def _package(name: str) -> str:
    facts = {"name": name.lower(), "version": "1.0.0", "type": "module", "main": "index.mjs", "private": True}
    return json.dumps(facts, indent=1) + "\n"


def _shown_example(about: Mapping[str, Any]) -> str:
    """Return a row of the README, as JavaScript."""
    if not about["reading"]:
        return json.dumps(about["example"], ensure_ascii=False)
    fields = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: bytes" for name in about["example"])
    return f"{{{fields}}}"


def _packed_mb(folder: Path, names: Sequence[str]) -> float:
    """Return the size of scripts as a server sends them, packed with gzip, in MB."""
    return sum(len(gzip.compress((folder / name).read_bytes(), 6)) for name in names) / 1e6


def _about(source: Source, names: Sequence[str]) -> dict[str, Any]:
    """Return what the code and the page must know of the bundle."""
    manifest = source.manifest
    schema = manifest.schema.as_dict()
    for field in schema["inputs"]:
        field["unused"] = field["name"] in source.predictor.unused
    certificate = manifest.certificate
    reading = preprocessing_of(source)
    return {
        "name": manifest.name, "version": manifest.version, "task": manifest.task, "model": manifest.model, "rung": manifest.rung,
        "rung_version": manifest.rung_version, "schema": schema, "clean": dict(manifest.clean), "words": _words(source),
        "certificate": {"claim": certificate["claim"]} if certificate else None, "example": _example(source),
        "reading": reading.as_dict() if reading else None, "pad": drawing_frame(source, reading) if reading else None,
        "encoder": encoder_facts(source) if "encoder/model.onnx" in names else None,
    }  # fmt: skip


def _words(source: Source) -> Mapping[str, Sequence[str]]:
    """Return the known words of each category, for the page's form."""
    model = source.predictor.model
    fitted = model.fitted if isinstance(model, TableModel) else None
    return fitted.features.categories if isinstance(fitted, FittedTable) else {}


def _example(source: Source) -> dict[str, Any]:
    """Return a row for the form: of text and images nothing, since packed examples are rows of people; of tables a packed row."""
    inputs = source.manifest.schema.inputs
    if any(field.kind in {"text", "image"} for field in inputs):
        return {field.name: "" for field in inputs}
    return source.predictor.example() or {}
