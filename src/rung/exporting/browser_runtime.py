"""The scripts that run networks in a browser: ONNX Runtime for WebAssembly and tokenizers, from npm packages of fixed hashes.

A page opened from the disk may load scripts but neither modules nor other files, so both become classic scripts: what a module exports
is set on one global object, and the WebAssembly lies in a script as text, packed with gzip. Nothing else of them is changed.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Sequence
from pathlib import Path

from rung.core.errors import RungError
from rung.runtime.weights.catalogue import CATALOGUE
from rung.runtime.weights.store import fetch

RUNTIME, WASM, TOKENIZERS, LICENCES = "runtime.js", "runtime_wasm.js", "tokenizers.js", "licences.txt"
_EXPORTS = re.compile(r"export\s*\{([^{}]*)\};?\s*(?://# sourceMappingURL=\S*\s*)?$")
_PLACE = 'globalThis.document?.baseURI ?? "file:///runtime.js"'
_MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions: The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def write_runtime(folder: Path, with_tokenizers: bool) -> list[str]:
    """Write the scripts and their licences into a folder, and return the scripts' names in the order of loading.

    They are fetched once into the cache of weights, and their hashes are checked. Raises RungError where they cannot be had.
    """
    ort = fetch("onnxruntime_web")
    text = (ort / "ort.mjs").read_text(encoding="utf-8")
    names = ("InferenceSession", "Tensor", "env")
    (folder / RUNTIME).write_text(classic_script(text, "RUNG_ORT", names, "ort.mjs"), encoding="utf-8")
    packed = base64.b64encode(gzip.compress((ort / "ort.wasm").read_bytes(), 9, mtime=0)).decode()
    (folder / WASM).write_text(f'globalThis.RUNG_WASM = "{packed}";\n', encoding="utf-8")
    licences = f"{RUNTIME}, {WASM}: {_named('onnxruntime_web')}, MIT License. Copyright (c) Microsoft Corporation.\n\n{_MIT}"
    scripts = [RUNTIME, WASM]
    if with_tokenizers:
        tokenizers = fetch("tokenizers_js")
        text = (tokenizers / "tokenizers.mjs").read_text(encoding="utf-8")
        made = classic_script(text, "RUNG_TOKENIZERS", ("Tokenizer",), "tokenizers.mjs")
        (folder / TOKENIZERS).write_text(made, encoding="utf-8")
        own = (tokenizers / "LICENSE").read_text(encoding="utf-8")
        licences += f"\n{TOKENIZERS}: {_named('tokenizers_js')}, Apache License 2.0.\n\n{own}"
        scripts.append(TOKENIZERS)
    (folder / LICENCES).write_text(licences, encoding="utf-8")
    return scripts


def classic_script(module: str, target: str, names: Sequence[str], where: str) -> str:
    """Return a module as a script that sets an object of some of its exports; raises RungError where these are not found."""
    found = _EXPORTS.search(module)
    pairs = [item.split(" as ") for item in found[1].split(",")] if found else []
    exported = {pair[-1].strip(): pair[0].strip() for pair in pairs}
    if found is None or not set(names) <= set(exported):
        raise RungError(
            "the module does not export what is needed", where, "This is a fault of rung: report it."
        )
    body = module[: found.start()].replace("import.meta.url", "RUNG_PLACE")
    values = ", ".join(f"{name}: {exported[name]}" for name in names)
    return f'(() => {{\n"use strict";\nconst RUNG_PLACE = {_PLACE};\n{body}\nglobalThis.{target} = {{ {values} }};\n}})();\n'


def _named(name: str) -> str:
    item = next(item for item in CATALOGUE if item.name == name)
    return f"{item.package} {item.version} ({item.source})"
