"""The bundle manifest: file hashes, schema and metadata, and the checks that run before a bundle is used."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rung.core.errors import UPDATE, BundleError
from rung.core.files import sha256, write_json
from rung.core.types import Schema

# Format 2 may hold weights in 8 bits; a bundle without them says 1, which every version reads.
FORMAT, PLAIN = 2, 1
NAME = "manifest.json"
# What a bundle may hold. A format that can run code when read is not among them.
SUFFIXES = {".json", ".jsonl", ".safetensors", ".onnx", ".md", ".txt", ".parquet", ".gguf", ".yaml", ".blob"}
_MAX_MANIFEST = 16 << 20
_SAFE_FIX = "Do not use this bundle; fetch or build it again."


# Entry of `data` in bundles that learned from a journal: the time (Unix) up to which they may have.
LEARNED_UNTIL = "learned_until"


@dataclass(frozen=True)
class Manifest:
    """Everything a server must know. files: relative POSIX path -> SHA-256, of every file but the manifest.

    clean: how texts are mended before the model reads them; {}: not at all, as in bundles older than the key.
    """

    name: str
    version: str
    rung_version: str
    task: str
    rung: str
    model: str
    endpoint: str
    schema: Schema
    files: Mapping[str, str]
    certified: bool = False
    certificate: Mapping[str, Any] | None = None
    children: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    chosen: Mapping[str, Any] = field(default_factory=dict)
    clean: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    format: int = PLAIN

    @property
    def unused_inputs(self) -> frozenset[str]:
        """Return the inputs that the model does not read, such as ids."""
        left_out = self.chosen.get("left_out")
        return frozenset(left_out if isinstance(left_out, Mapping) else ()) & set(self.schema.input_names)

    def write(self, folder: Path) -> None:
        """Write the manifest: last of all files, since it vouches for the others."""
        raw = asdict(self)
        raw["schema"] = self.schema.as_dict()
        write_json(folder / NAME, {**raw, "seal": seal(raw)})


def seal(raw: Mapping[str, Any]) -> str:
    """Return the hash of a manifest's content without its seal.

    It notices damage and careless edits. Who means to forge can seal again: only the run folder and its
    certificate.lock prove where a certificate came from.
    """
    content = {key: value for key, value in raw.items() if key != "seal"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def identity(
    files: Mapping[str, str], schema: Schema, code: str, clean: Mapping[str, Any] | None = None
) -> str:
    """Return the id of what answers: the model's files, the schema, how text is mended and the version of the code, no dates."""
    weights = {name: digest for name, digest in files.items() if name.startswith(("model/", "children/"))}
    parts = [code, schema.as_dict(), sorted(weights.items()), *([clean] if clean else [])]
    text = json.dumps(parts, sort_keys=bool(clean))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a bundle but its manifest, by relative POSIX path."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() != NAME
    }


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a bundle; raises BundleError when it is absent, broken or of a newer format."""
    path = folder / NAME
    where = folder.name or str(folder)
    if not folder.is_dir():
        raise BundleError(
            "there is no such folder", str(folder), "A build leaves its bundle in <run>/bundle."
        )
    if not path.is_file():
        raise BundleError(f"no {NAME} in it: this is not a bundle", where, "Point to <run>/bundle.")
    if path.is_symlink() or path.stat().st_size > _MAX_MANIFEST:
        raise BundleError("the manifest is a link or too large", where, _SAFE_FIX)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or not isinstance(raw["format"], int):
            raise TypeError("not a manifest")
        if raw["format"] > FORMAT:
            raise BundleError(
                f"the bundle has format {raw['format']}, this rung reads up to {FORMAT}",
                where,
                f"{UPDATE} (the bundle was made by rung {raw.get('rung_version', '?')})",
            )
        _check_kinds(raw)
        raw.pop("seal", None)
        raw["schema"] = Schema.from_dict(raw["schema"])
        manifest = Manifest(**raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"the manifest cannot be read: {type(error).__name__} {error}", where, _SAFE_FIX
        ) from None
    return manifest


def _check_kinds(raw: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError for a value of the wrong kind: a manifest may come from anywhere."""
    for key in ("name", "version", "rung_version", "task", "rung", "model", "endpoint"):
        if not isinstance(raw[key], str):
            raise TypeError(f"{key} must be text")
    if not re.fullmatch(r"\w[\w.-]{0,63}", raw["name"]):
        raise ValueError(f"'{raw['name']}' is not a product's name")
    if not isinstance(raw.get("certified", False), bool):
        raise TypeError("certified must be true or false")
    certificate = raw.get("certificate")
    if certificate is not None and not (
        isinstance(certificate, dict) and isinstance(certificate.get("claim"), str)
    ):
        raise TypeError("the certificate must have a claim")
    if raw.get("certified", False) != (certificate is not None):
        raise ValueError("certified and certificate contradict each other")
    for key in ("files", "children", "environment"):
        pairs = raw.get(key, {})
        if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
            raise TypeError(f"{key} must map text to text")
    for key in ("data", "chosen", "clean"):
        if not isinstance(raw.get(key, {}), dict):
            raise TypeError(f"{key} must be an object")


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Raise BundleError unless the files are the ones the manifest hashes: none changed, missing or added."""
    where = folder.name or str(folder)
    for name in [*manifest.files, *manifest.children.values()]:
        parts = PurePosixPath(name).parts
        if PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name or ":" in name or not parts:
            raise BundleError(f"the path '{name}' climbs out of the bundle", where, _SAFE_FIX)
    raw = json.loads((folder / NAME).read_text(encoding="utf-8"))
    if raw.get("seal") != seal(raw):
        raise BundleError("the manifest is not the one that was packed: its seal differs", where, _SAFE_FIX)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise BundleError(f"'{name}' is a link", where, _SAFE_FIX)
        if path.is_dir() or name == NAME:
            continue
        if path.suffix not in SUFFIXES:
            raise BundleError(f"'{name}' is of a kind that a bundle never holds", where, _SAFE_FIX)
        if name not in manifest.files:
            raise BundleError(f"'{name}' is not in the manifest", where, _SAFE_FIX)
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"'{name}' is missing", where, _SAFE_FIX)
        if sha256(path) != digest:
            raise BundleError(
                f"'{name}' is not the file that was packed: its SHA-256 differs", where, _SAFE_FIX
            )
