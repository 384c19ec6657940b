"""A wheel that holds a bundle and the code that answers for it: `pip install` it, then `import` the product.

The code is the server's own (see `vendored`), so one implementation answers in both places. Requirements are what the
packed examples were seen to import, with the lower bounds that rung has for them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Sequence
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rung.core.answers import answer_from_json
from rung.core.blobs import Blob
from rung.core.plugins import KINDS, MODELS, TASKS, installed
from rung.exporting.agreement import TargetAnswer, compare
from rung.exporting.source import Rows, Source, packed_rows
from rung.exporting.target import Check, ExportRefused, Note, Target, identifier
from rung.exporting.vendored import modules_for, write_vendored

TEMPLATES = Path(__file__).parent / "templates"
# What a product must not need: neither rung itself nor anything that trains.
BLOCKED = (
    "rung", "sklearn", "scipy", "pandas", "pyarrow", "torch", "lightgbm", "onnx", "optuna", "interpret", "transformers",
)  # fmt: skip
_TAG = "py3-none-any"
# Zip files hold times: the same bundle gives the same wheel.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(source: Source, folder: Path) -> Sequence[Note]:
    """Write the wheel and a page that says how to use it."""
    name = identifier(source.manifest.name)
    points = _entry_points(source)
    with TemporaryDirectory(prefix="rung-wheel-") as scratch:
        tree = Path(scratch) / "tree"
        package = tree / name
        modules = [
            "rung.serving.predictor",
            *(module for group in points.values() for module in group.values()),
        ]
        closure = modules_for(module.partition(":")[0] for module in modules)
        _require_offline(closure, source)
        write_vendored(closure, f"{name}._rung", package / "_rung")
        shutil.copytree(source.folder, package / "bundle")
        for template, target in (
            ("product.py.txt", "__init__.py"),
            ("product_main.py.txt", "__main__.py"),
            ("product_server.py.txt", "server.py"),
        ):
            text = (TEMPLATES / template).read_text(encoding="utf-8")
            (package / target).write_text(text.replace("PRODUCT", name), encoding="utf-8")
        info = tree / f"{name}-{_version(source)}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(_entry_point_text(points, name), encoding="utf-8")
        needed = _requirements(_run(tree, name, packed_rows(source), Path(scratch))[1])
        _write_info(info, source, name, needed)
        _zip(tree, folder / f"{name}-{_version(source)}-{_TAG}.whl", info.name)
    return [Note("wheel", {"module": name, "requires": ", ".join(needed)})]


def check(source: Source, folder: Path, rows: Rows) -> Sequence[Check]:
    """Return how the wheel answers, installed by pip into a folder of its own, in a Python that refuses to import rung."""
    name = identifier(source.manifest.name)
    with TemporaryDirectory(prefix="rung-wheel-") as scratch:
        place = install(folder, Path(scratch) / "installed")
        answers, facts = _run(place, name, rows, Path(scratch))
    agreement = compare(rows.expected, answers)
    versions = f"Python {facts['python']}, numpy {facts['numpy']}"
    return [Check("Python", versions, agreement, facts["milliseconds"])]


TARGET = Target("wheel", write, check)


def _version(source: Source) -> str:
    return f"1.0.0+{re.sub(r'[^a-z0-9]', '.', source.manifest.version.lower()) or '0'}"


def _entry_points(source: Source) -> dict[str, dict[str, str]]:
    """Return group -> name -> where the class is, of the tasks, models and kinds that the bundle names.

    Raises ExportRefused where one comes from another package.
    """
    manifest = source.manifest
    kinds = {field.kind for field in (*manifest.schema.inputs, *manifest.schema.outputs)}
    wanted = {TASKS: {manifest.task}, MODELS: {manifest.model, *manifest.children}, KINDS: kinds}
    found: dict[str, dict[str, str]] = {}
    for group, names in wanted.items():
        known = installed(group)
        found[group] = {one: known[one].value for one in sorted(names & known.keys())}
    for classes in found.values():
        for name, value in classes.items():
            if not value.startswith("rung."):
                raise ExportRefused(
                    f"'{name}' is code of another package ({value}), which a wheel of this product cannot hold",
                    source.folder.name,
                    "Install that package where the product runs, and use `rung serve`.",
                )
    return found


def _require_offline(modules: Sequence[str], source: Source) -> None:
    """Raise ExportRefused for a model that asks a language model over the network."""
    if "rung.runtime.llm.client" in modules:
        raise ExportRefused(
            f"'{source.manifest.model}' asks a service over the network; an export answers by itself",
            source.folder.name,
            "Serve it with `rung serve`.",
        )


def _entry_point_text(points: dict[str, dict[str, str]], name: str) -> str:
    """Return the file: groups of the product's own name, so that an installed rung does not see them."""
    lines = []
    for group, values in points.items():
        lines.append(f"[{name}._rung.{group.removeprefix('rung.')}]")
        lines += [f"{key} = {name}._rung.{value.removeprefix('rung.')}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _requirements(facts: dict[str, Any]) -> list[str]:
    """Return what the product needs, from the top-level modules that it loaded."""
    bounds = {
        re.split(r"[<>=!~;\[ ]", text)[0].lower(): text.partition(";")[0].strip()
        for text in requires("rung") or ()
    }
    homes = packages_distributions()
    found = set()
    for module in facts["modules"]:
        for distribution in homes.get(module, ()):
            wanted = bounds.get(distribution.lower())
            if wanted:
                found.add(wanted)
    return sorted(found)


def _run(place: Path, name: str, rows: Rows, scratch: Path) -> tuple[list[TargetAnswer], dict[str, Any]]:
    """Return the product's answers, and what it needed; raises ExportRefused with the end of its errors when it fails."""
    asked, answered = scratch / "rows.jsonl", scratch / "answers.jsonl"
    with asked.open("w", encoding="utf-8") as file:
        for row in rows.inputs:
            file.write(json.dumps({key: plain(value) for key, value in row.items()}) + "\n")
    script = TEMPLATES / "wheel_check.py.txt"
    command = [
        sys.executable,
        "-I",
        str(script),
        str(place),
        name,
        ",".join(BLOCKED),
        str(asked),
        str(answered),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet())
    if done.returncode:
        raise ExportRefused(
            f"the wheel does not run without rung: {done.stderr[-1500:]}",
            name,
            "This is a fault of rung: report it.",
        )
    with answered.open(encoding="utf-8") as file:
        facts = json.loads(next(file))
        answers = [answer_from_json(line) for line in file]
    found = [TargetAnswer(one.value, one.extra.get("probabilities", ())) for one in answers]
    return found, facts


def plain(value: Any) -> Any:
    """Return a cell as JSON holds it: a file as base64."""
    return base64.b64encode(value.read()).decode() if isinstance(value, Blob) else value


def quiet() -> dict[str, str]:
    """Return the environment of a process with one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONUTF8": "1"}


def install(folder: Path, place: Path) -> Path:
    """Return `place` with the wheel of a folder installed as pip does, without its requirements; unpacked where there is no pip."""
    (wheel,) = folder.glob("*.whl")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "-q",
        "--target",
    ]
    done = subprocess.run([*command, str(place), str(wheel)], capture_output=True, text=True, check=False)
    if done.returncode and "No module named pip" in done.stderr:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place)
    elif done.returncode:
        raise ExportRefused(
            f"pip refuses the wheel: {done.stderr[-800:]}", wheel.name, "This is a fault of rung: report it."
        )
    return place


def _write_info(info: Path, source: Source, name: str, needed: Iterable[str]) -> None:
    manifest = source.manifest
    proof = manifest.certificate["claim"] if manifest.certificate else "Not certified."
    lines = [
        "Metadata-Version: 2.1", f"Name: {name}", f"Version: {_version(source)}",
        f"Summary: {manifest.name}: {manifest.task}, packed by rung {version('rung')}", "Requires-Python: >=3.11",
        *(f"Requires-Dist: {one}" for one in needed), "Description-Content-Type: text/markdown", "",
        f"{proof}\n\n{(source.folder / 'card.md').read_text(encoding='utf-8')}",
    ]  # fmt: skip
    (info / "METADATA").write_text("\n".join(lines), encoding="utf-8")
    (info / "WHEEL").write_text(
        f"Wheel-Version: 1.0\nGenerator: rung {version('rung')}\nRoot-Is-Purelib: true\nTag: {_TAG}\n",
        encoding="utf-8",
    )


def _zip(tree: Path, wheel: Path, info: str) -> None:
    """Write the wheel with its RECORD: the hash of every file."""
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(tree.rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            data, place = path.read_bytes(), path.relative_to(tree).as_posix()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{place},sha256={digest},{len(data)}")
            archive.writestr(_entry(place), data)
        record.append(f"{info}/RECORD,,")
        archive.writestr(_entry(f"{info}/RECORD"), "\n".join(record) + "\n")


def _entry(place: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(place, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
