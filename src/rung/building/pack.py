"""Write the bundle: model files, self-test, card, and last the manifest that hashes them all."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.blobs import Blob, BundleMedia
from rung.core.kind import kind
from rung.core.manifest import FORMAT, PLAIN, Manifest, hash_files, identity, read_manifest
from rung.core.model import Fitted
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Examples, Prediction
from rung.data.prepare.cleaning_log import cleaning_pipeline
from rung.runtime.linear.head import WEIGHTS_FILE, holds_codes

SELFTEST_ROWS = 10


def selftest_places(rows: int, most: int = SELFTEST_ROWS) -> list[int]:
    """Return which of so many training rows become the self-test, evenly spread."""
    return list(range(0, rows, max(rows // most, 1)))[:most]


def pack(
    folder: Path,
    product: Product,
    task: Task,
    rung: tuple[str, str],
    fitted: Fitted,
    selftest: tuple[Examples, Sequence[Prediction]],
    data: Mapping[str, Any],
) -> Manifest:
    """Write an uncertified bundle of a fitted model into an empty folder and return its manifest.

    rung: its name and its model family. selftest: rows, and what the fitted model answered to them. data: counts and
    hash of the data, for the manifest.
    """
    shutil.copytree(fitted.folder, folder / "model")
    sample, answers = selftest
    schema = sample.schema
    kinds = {field.name: kind(field.kind) for field in schema.inputs}
    with (folder / "selftest.jsonl").open("w", encoding="utf-8") as file:
        for record, answer in zip(sample.records(), answers, strict=True):
            inputs = {name: known.without_metadata(record[name]) for name, known in kinds.items()}
            shown = {name: known.to_json(inputs[name]) for name, known in kinds.items()}
            for value in inputs.values():
                if isinstance(value, Blob):
                    BundleMedia(folder).add(value)
            case = {"inputs": shown, "answer": task.response(answer, schema, scores=True)}
            file.write(json.dumps(case, ensure_ascii=False) + "\n")
    rung_version = _version("rung")
    code = registry.code_version(product.task, rung[1], *fitted.children)
    clean = cleaning_pipeline(product, task).as_dict()
    manifest = Manifest(
        name=product.name,
        version=identity(hash_files(folder), schema, code, clean),
        rung_version=rung_version,
        task=product.task,
        rung=rung[0],
        model=rung[1],
        endpoint=f"/v1/models/{product.name}/predict",
        schema=schema,
        files={},
        children={name: f"model/{place}" for name, place in fitted.children.items()},
        data=dict(data),
        chosen=dict(fitted.chosen),
        clean=clean,
        environment=_environment(),
        format=FORMAT if any(map(holds_codes, folder.rglob(WEIGHTS_FILE))) else PLAIN,
    )
    return _seal(folder, manifest)


def finish(source: Path, target: Path, certificate: Mapping[str, Any] | None) -> Manifest:
    """Copy a packed trial into an empty folder as the bundle that ships, with its certificate if it has one."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    manifest = read_manifest(target)
    certified = certificate is not None
    return _seal(
        target, replace(manifest, certified=certified, certificate=dict(certificate) if certificate else None)
    )


def size_mb(folder: Path) -> float:
    """Return what a bundle takes on disk, in megabytes."""
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 4)


def _seal(folder: Path, manifest: Manifest) -> Manifest:
    (folder / "card.md").write_text(_card(manifest), encoding="utf-8")
    sealed = replace(manifest, files=hash_files(folder))
    sealed.write(folder)
    return sealed


def _card(manifest: Manifest) -> str:
    """Return the model card: what it does, from what, how good, and what it is not."""
    certificate = manifest.certificate
    if certificate:
        proof = f"Certified: {certificate['claim']}"
    else:
        proof = "**Not certified.** No claim about its quality on new rows has been proven."
    inputs = ", ".join(f"`{field.name}` ({field.kind})" for field in manifest.schema.inputs)
    labels = manifest.schema.labels
    shown = ", ".join(f"`{label}`" for label in labels[:40]) + (" ..." if len(labels) > 40 else "")
    chosen = "\n".join(f"- {key}: {value}" for key, value in manifest.chosen.items()) or "- nothing to choose"
    data = "\n".join(f"- {key}: {value}" for key, value in manifest.data.items())
    return f"""# {manifest.name}

Task: {manifest.task}. Rung: {manifest.rung} (model family `{manifest.model}`). Version {manifest.version}, rung {manifest.rung_version}.

{proof}

## Use
Reads {inputs}; answers one of {shown or "its outputs"}.
`rung serve .` answers at `POST {manifest.endpoint}`; `rung verify .` checks every file and ten packed examples.

## Data
{data}

## What the fit chose
{chosen}

## Limits
It knows only what its training rows showed. Rows unlike them (another time, source, language or kind) are
answered all the same, with a probability that then means little. `selftest.jsonl` holds {SELFTEST_ROWS} training rows
{_clear(manifest.clean)}
"""


def _clear(clean: Mapping[str, Any]) -> str:
    """Return what of personal data may stand in the bundle."""
    gone = [*clean.get("mask", ()), *clean.get("drop", ())]
    if not gone:
        return "in clear: `privacy: {mask: all}` in product.yaml masks personal data, if the bundle leaves your hands."
    return f"after masking ({', '.join(gone)}); a detector misses some: look at them before the bundle leaves your hands."


def _environment() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    for package in ("numpy", "scipy", "scikit-learn", "lightgbm", "pyarrow"):
        known = _version(package)
        if known:
            found[package] = known
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
