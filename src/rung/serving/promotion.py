"""Who serves, and who did before: promote, roll back, and the history of both.

`champions.json` says what serves; `history.jsonl` says who changed it, when and why, one line each, and nothing takes a
line away. A line is on the disk before the champion changes: no change is without its line.
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
from rung.core.files import writing
from rung.core.manifest import Manifest, read_manifest, verify_files
from rung.core.spec.improve import ShadowSpec
from rung.serving.bundle_source import find_bundle_source, read_champion, set_champion
from rung.serving.predictor import open_bundle
from rung.serving.shadow_state import Shadow, clear_shadow, write_shadow

NAME = "history.jsonl"
PROMOTE, ROLLBACK, KEPT, SHADOW = "promote", "rollback", "kept", "shadow"


@dataclass(frozen=True)
class Change:
    """One line of the history. action: promote, rollback, kept (a challenger did not earn it: nothing changed), or shadow (one
    begins to answer beside the champion).

    bundle, version: what serves from then on; of `kept` and `shadow`, the challenger. previous: the bundle that served before.
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
    """Who lets a challenger stand in shadow, why, and what it must show there."""

    spec: ShadowSpec
    who: str
    why: str


def history(folder: Path, name: str | None = None) -> list[Change]:
    """Return the changes of a service folder, oldest first; name: of one product alone. Raises RungError for a damaged line."""
    path = folder / NAME
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(Change(**json.loads(line)))
        except (ValueError, TypeError):
            fix = "Put back a copy; without it nothing is known of what served before."
            raise RungError("this line cannot be read", f"{path.name}, line {number}", fix) from None
    return [change for change in found if name is None or change.product == name]


def append_change(folder: Path, product: str, action: str, who: str, why: str, **facts: str) -> Change:
    """Append a change, on the disk when this returns."""
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
    """Make a bundle the champion of a product; servers that run follow within a second.

    current: what serves now, where `champions.json` does not say. Everything a server would check is checked first.
    Raises BundleError for a bundle that is damaged, uncertified, another product's, or answers its examples otherwise.
    """
    manifest = _check_servable(name, bundle)
    with service_lock(folder):
        before = read_champion(folder, name) or current
        if before is not None and before.resolve() == bundle.resolve():
            raise RungError("this bundle serves already", str(bundle), "`rung history` shows since when.")
        previous = str(before.resolve()) if before is not None else ""
        facts = {"bundle": str(bundle.resolve()), "version": manifest.version, "previous": previous}
        change = append_change(folder, name, PROMOTE, who, why, **facts)
        set_champion(folder, name, bundle)
        clear_shadow(folder, name)
    return change


def begin_shadow(folder: Path, name: str, bundle: Path, current: Path, terms: ShadowTerms) -> Change:
    """Let a bundle answer beside the champion; servers that run follow within a second.

    current: what serves now. Checked like a promotion, and the same raised. Another challenger in shadow gives way.
    """
    manifest = _check_servable(name, bundle)
    with service_lock(folder):
        if current.resolve() == bundle.resolve():
            raise RungError("this bundle serves already", str(bundle), "`rung history` shows since when.")
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
    """Let a challenger in shadow answer no more, and say in the history why it did not come to serve."""
    with service_lock(folder):
        facts = {"bundle": shadow.bundle, "version": shadow.version}
        change = append_change(folder, name, KEPT, who, why, **facts)
        clear_shadow(folder, name)
    return change


def rollback(folder: Path, name: str, who: str, why: str) -> Change:
    """Let what served before the last promotion serve again; called twice, what served before that.

    Only its files are checked: it has served before, and a server checks the rest when it opens it. Raises RungError
    when there is nothing to go back to, BundleError when the files are gone or changed.
    """
    with service_lock(folder):
        line = champion_stack(history(folder, name))
        if len(line) < 2:
            fix = "Only `rung promote` and `rung improve` put one bundle in the place of another."
            raise RungError(f"nothing served '{name}' before what serves now", str(folder / NAME), fix)
        bundle = Path(line[-2])
        manifest = read_manifest(bundle)
        verify_files(bundle, manifest)
        facts = {"bundle": str(bundle), "version": manifest.version, "previous": line[-1]}
        change = append_change(folder, name, ROLLBACK, who, why, **facts)
        set_champion(folder, name, bundle)
        clear_shadow(folder, name)
    return change


def champion_stack(changes: list[Change]) -> list[str]:
    """Return the bundles one would go back through, the one that serves last."""
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
    """Return the bundle that serves, or would if the product was served now; None when there is none."""
    chosen = read_champion(folder, name)
    if chosen is not None:
        return chosen if chosen.is_absolute() else (base / chosen).resolve()
    try:
        return find_bundle_source(path).find().resolve()
    except BundleError:
        return None


def bundle_in(path: Path) -> Path:
    """Return the bundle that a path of a bundle or of a run means; raises BundleError when it is neither."""
    for folder in (path, path / "bundle"):
        if (folder / "manifest.json").is_file():
            return folder
    raise BundleError("there is no bundle here", str(path), "Give a bundle, or a run that packed one.")


def _check_servable(name: str, bundle: Path) -> Manifest:
    """Return the manifest of a bundle, after everything a server would check; raises BundleError."""
    predictor = open_bundle(bundle)
    manifest = predictor.manifest
    if manifest.name != name:
        raise BundleError(
            f"the bundle is of '{manifest.name}', not of '{name}'", str(bundle), "Give one of its own."
        )
    if not manifest.certified:
        fix = "Build until a rung clears the bar, or serve it by hand: rung serve BUNDLE --uncertified."
        raise BundleError(
            "the bundle is not certified: nothing has been proven about its quality", str(bundle), fix
        )
    if predictor.selftest():
        raise BundleError("it answers its packed examples otherwise", str(bundle), "Build it again.")
    return manifest


@contextmanager
def service_lock(folder: Path) -> Iterator[None]:
    """Hold the service folder against a second change at the same time."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.name == "nt":  # Windows cannot lock a folder; two changes at once are the user's to avoid there.
        yield
        return
    import fcntl

    handle = os.open(folder / "changing.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def as_dict(change: Change) -> dict[str, Any]:
    """Return a change for JSON."""
    return asdict(change)
