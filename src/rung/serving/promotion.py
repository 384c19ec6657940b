"""Promotion and rollback of a product's champion, and their history.

`champions.json` holds the current champions; `history.jsonl` is an append-only log of who changed them, when and why.
The line is written to disk before the champion changes, so that every change has its line.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import BundleError, RungError
from rung.core.files import locked, writing
from rung.core.manifest import Manifest, read_manifest, verify_files
from rung.core.spec.improve import ShadowSpec
from rung.serving.bundle_source import find_bundle_source, read_champion, set_champion
from rung.serving.predictor import open_bundle
from rung.serving.shadow_state import Shadow, clear_shadow, write_shadow
from rung.serving.shared_state import shared_edit

NAME = "history.jsonl"
PROMOTE, ROLLBACK, KEPT, SHADOW = "promote", "rollback", "kept", "shadow"


@dataclass(frozen=True)
class Change:
    """One line of the history. action: promote, rollback, kept (challenger rejected, champion unchanged) or shadow (a
    challenger begins to run in shadow).

    bundle, version: the new champion; of `kept` and `shadow`, the challenger. previous: the champion before.
    """

    at: float
    product: str
    action: str
    who: str
    why: str
    bundle: str
    version: str
    previous: str = ""


@dataclass(frozen=True)
class ShadowTerms:
    """Who starts a challenger in shadow, why, and the criteria it must meet there."""

    spec: ShadowSpec
    who: str
    why: str


def history(folder: Path, name: str | None = None) -> list[Change]:
    """Return the changes of a service folder, oldest first. name: only this product's. Raises RungError for a damaged line."""
    path = folder / NAME
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(Change(**json.loads(line)))
        except (ValueError, TypeError):
            fix = "Restore the file from a backup; it is the only record of earlier champions."
            raise RungError("this line cannot be read", f"{path.name}, line {number}", fix) from None
    return [change for change in found if name is None or change.product == name]


def append_change(folder: Path, product: str, action: str, who: str, why: str, **facts: str) -> Change:
    """Append a change to the history and fsync it."""
    change = Change(
        round(time.time(), 3), product, action, who, why, **{"bundle": "", "version": "", **facts}
    )
    data = (json.dumps(asdict(change), ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
    return change


def promote(folder: Path, name: str, bundle: Path, current: Path | None, who: str, why: str) -> Change:
    """Make a bundle the champion of a product; running servers load it within a second.

    current: the bundle served now, where `champions.json` names none, or one relative to the product's folder. The checks
    of a server are made first.
    Raises BundleError for a bundle that is damaged, uncertified, of another product, or fails its self-test.
    """
    manifest = _check_servable(name, bundle)
    with service_lock(folder):
        before = read_champion(folder, name)
        if before is None or not before.is_absolute():
            before = current or before
        if before is not None and before.resolve() == bundle.resolve():
            raise RungError(
                "this bundle is the champion already", str(bundle), "`rung history` shows since when."
            )
        previous = str(before.resolve()) if before is not None else ""
        facts = {"bundle": str(bundle.resolve()), "version": manifest.version, "previous": previous}
        change = append_change(folder, name, PROMOTE, who, why, **facts)
        set_champion(folder, name, bundle)
        clear_shadow(folder, name)
    return change


def begin_shadow(folder: Path, name: str, bundle: Path, current: Path, terms: ShadowTerms) -> Change:
    """Run a bundle in shadow of the champion; running servers follow within a second.

    current: the bundle served now. Checks and errors are those of `promote`. Replaces another challenger in shadow.
    """
    manifest = _check_servable(name, bundle)
    with service_lock(folder):
        if current.resolve() == bundle.resolve():
            raise RungError(
                "this bundle is the champion already", str(bundle), "`rung history` shows since when."
            )
        facts = {
            "bundle": str(bundle.resolve()),
            "version": manifest.version,
            "previous": str(current.resolve()),
        }
        change = append_change(folder, name, SHADOW, terms.who, terms.why, **facts)
        champion_version = read_manifest(current).version
        spec = terms.spec
        write_shadow(
            folder, name,
            Shadow(
                facts["bundle"], manifest.version, champion_version, change.at, terms.who, terms.why,
                spec.rows, spec.agreement, spec.waiting,
            ),
        )  # fmt: skip
    return change


def end_shadow(folder: Path, name: str, shadow: Shadow, who: str, why: str) -> Change:
    """End a challenger's shadow run and record in the history why it was not promoted."""
    with service_lock(folder):
        facts = {"bundle": shadow.bundle, "version": shadow.version}
        change = append_change(folder, name, KEPT, who, why, **facts)
        clear_shadow(folder, name)
    return change


def rollback(folder: Path, name: str, who: str, why: str) -> Change:
    """Make the champion before the last promotion the champion again; a second call goes back one further.

    Only the files are verified: the bundle has served before, and a server makes the other checks when it opens it.
    Raises RungError when there is no earlier champion, BundleError when the files are missing or changed.
    """
    with service_lock(folder):
        line = champion_stack(history(folder, name))
        if len(line) < 2:
            fix = "Only `rung promote` and `rung improve` replace a champion."
            raise RungError(f"'{name}' has no earlier champion", str(folder / NAME), fix)
        bundle = Path(line[-2])
        manifest = read_manifest(bundle)
        verify_files(bundle, manifest)
        facts = {"bundle": str(bundle), "version": manifest.version, "previous": line[-1]}
        change = append_change(folder, name, ROLLBACK, who, why, **facts)
        set_champion(folder, name, bundle)
        clear_shadow(folder, name)
    return change


def champion_stack(changes: list[Change]) -> list[str]:
    """Return the champions that rollback would go through, the current one last."""
    line: list[str] = []
    for change in changes:
        if change.action == PROMOTE:
            if change.previous and (not line or line[-1] != change.previous):
                line.append(change.previous)
            line.append(change.bundle)
        elif change.action == ROLLBACK and len(line) > 1:
            line.pop()
    return line


def current_champion(path: Path, folder: Path, base: Path, name: str) -> Path | None:
    """Return the champion, or the bundle that would be served if none is recorded; None when there is no bundle."""
    chosen = read_champion(folder, name)
    if chosen is not None:
        return chosen if chosen.is_absolute() else (base / chosen).resolve()
    try:
        return find_bundle_source(path).find().resolve()
    except BundleError:
        return None


def bundle_in(path: Path) -> Path:
    """Return the bundle of a path that is a bundle or a run; raises BundleError when it is neither."""
    for folder in (path, path / "bundle"):
        if (folder / "manifest.json").is_file():
            return folder
    raise BundleError(
        "there is no bundle here", str(path), "Give a bundle folder, or a run folder with a bundle."
    )


def _check_servable(name: str, bundle: Path) -> Manifest:
    """Make the checks of a server and return the bundle's manifest; raises BundleError."""
    predictor = open_bundle(bundle)
    manifest = predictor.manifest
    if manifest.name != name:
        raise BundleError(
            f"the bundle belongs to '{manifest.name}', not to '{name}'",
            str(bundle),
            "Give a bundle of this product.",
        )
    if not manifest.certified:
        fix = "Build until a rung clears the bar, or serve it explicitly: rung serve BUNDLE --uncertified."
        raise BundleError("the bundle is not certified: its quality is not proven", str(bundle), fix)
    if predictor.selftest():
        raise BundleError(
            "the self-test failed: packed examples give another answer", str(bundle), "Build it again."
        )
    return manifest


@contextmanager
def service_lock(folder: Path) -> Iterator[None]:
    """Lock the service folder against concurrent changes."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder / "changing.lock"), shared_edit(folder):
        yield


def as_dict(change: Change) -> dict[str, Any]:
    """Return a change for JSON."""
    return asdict(change)
