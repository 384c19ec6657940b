"""The run folder: atomic steps, an event log, and a lock against concurrent builds."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rung.core.activity import Heartbeat
from rung.core.errors import RunError
from rung.core.files import read_json, whole_folder, write_json, write_text, writing

Listener = Callable[[str, dict[str, Any]], None]
MARKER = "done.json"
# Key of run.json: where the product's folder lies, seen from the run's.
_BASE = "base"
# Of what the steps of a run leave: steps of another format cannot be resumed. Version 0.1 wrote none.
FORMAT = 2
# Steps before the first trial.
_EARLY_STEPS = ("data", "checks", "reference")


class Run:
    """A folder that holds one build. Made by `open_run`; the folder is what every front end reads."""

    def __init__(self, folder: Path, listener: Listener | None = None) -> None:
        self.folder = folder
        self._listener = listener
        self._telling = threading.RLock()
        self._heartbeat = Heartbeat(lambda now: self.event("working", **now))

    def step(self, name: str, work: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
        """Return the folder of a step and its facts, doing the work unless a marker says it is whole.

        work: fills an empty folder and returns JSON-ready facts. The marker is written last, inside the
        folder, which is then renamed into place: a killed build leaves no half step that looks whole.
        """
        target = self.folder / name
        marker = target / MARKER
        if marker.is_file():
            facts = read_json(marker)
            self.event("step", name=name, state="kept")
            return target, facts
        self.event("step", name=name, state="begun")
        begun = time.monotonic()
        with whole_folder(target) as temporary:
            facts = work(temporary)
            write_json(temporary / MARKER, facts)
        self.event("step", name=name, state="done", seconds=round(time.monotonic() - begun, 3))
        return target, facts

    def event(self, kind: str, **facts: Any) -> None:
        """Append a line to events.jsonl and tell the listener, one event at a time whatever the thread."""
        line = json.dumps(
            {"at": round(time.time(), 3), "event": kind, **facts}, ensure_ascii=False, default=str
        )
        with self._telling:
            with writing(self.folder), (self.folder / "events.jsonl").open("a", encoding="utf-8") as log:
                log.write(line + "\n")
            if self._listener:
                self._listener(kind, facts)
        if kind != "working":
            self._heartbeat.heard()

    @contextmanager
    def building(self) -> Iterator[None]:
        """Hold the folder against a second builder, for as long as this process lives and no longer.

        While it is held, an event says every few seconds what goes on, if nothing else does.
        """
        handle = os.open(self.folder / "building.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if os.name != "nt":  # Windows has no such lock; two builds at once are the user's to avoid there.
                import fcntl

                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    fix = "Wait for it, or choose another folder with --run."
                    raise RunError("another build is writing here", str(self.folder), fix) from None
            with self._heartbeat:
                yield
        finally:
            os.close(handle)


def is_building(folder: Path) -> bool:
    """Return whether a process holds this run folder for building; never on Windows, which has no such lock."""
    if os.name == "nt" or not (folder / "building.lock").is_file():
        return False
    import fcntl

    handle = os.open(folder / "building.lock", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def open_run(
    folder: Path,
    name: str,
    fingerprint: str,
    spec_text: str,
    listener: Listener | None = None,
    base: Path | None = None,
) -> Run:
    """Return the run in a folder, begun or resumed.

    fingerprint: of the spec and the data. base: the product's folder, noted relative to the run's. Raises RunError when the folder holds something else.
    """
    owner = folder / "run.json"
    if owner.is_file():
        found = read_json(owner)
        if found.get("product") != name:
            raise RunError(
                f"this is a run of the product '{found.get('product')}', not of '{name}'",
                str(folder),
                "Choose another folder with --run.",
            )
        if _format(found) != FORMAT:
            raise RunError(
                f"this run of '{name}' has format {_format(found)} and cannot be resumed: this rung writes format {FORMAT}",
                str(folder),
                "Leave out --run to begin a new run; certificate.lock keeps the looks that were taken. "
                "`rung show` shows a finished run of any version.",
            )
        if found.get("fingerprint") != fingerprint and _ended_before_a_trial(folder):
            # Nothing is lost: a mistake in the spec was found, and the folder is begun anew.
            for step in _EARLY_STEPS:
                shutil.rmtree(folder / step, ignore_errors=True)
            owner.unlink()
            return open_run(folder, name, fingerprint, spec_text, listener, base)
        if found.get("fingerprint") != fingerprint:
            raise RunError(
                f"this run of '{name}' was begun with a different product.yaml or different data",
                str(folder),
                "Leave out --run to begin a new run, or choose an empty folder.",
            )
    elif folder.exists() and (not folder.is_dir() or _holds_others(folder)):
        raise RunError(
            "this is not a run folder and not empty", str(folder), "Choose an empty folder with --run."
        )
    else:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        # Another build may begin here at the same moment.
        with Run(folder).building():
            if not owner.is_file():
                write_text(folder / "product.yaml", spec_text)
                where = {} if base is None else {_BASE: _relative(base, folder)}
                write_json(owner, {"product": name, "fingerprint": fingerprint, "format": FORMAT, **where})
                return Run(folder, listener)
        return open_run(folder, name, fingerprint, spec_text, listener, base)
    return Run(folder, listener)


def _relative(base: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(base.resolve(), folder.resolve())).as_posix()
    except ValueError:  # On another drive of Windows.
        return base.resolve().as_posix()


def finished_run(folder: Path) -> tuple[dict[str, Any], Path]:
    """Return what run.json says of a finished run, and the folder of its product; of an older run, two folders up.

    Raises RunError where there is no run, it was not finished, or another format of runs wrote it.
    """
    owner = folder / "run.json"
    if not owner.is_file():
        raise RunError("there is no run in it", str(folder), "Name a folder that `rung build` wrote.")
    found = read_json(owner)
    if _format(found) != FORMAT:
        fix = "Build the product again; until then its bundle serves as it is."
        raise RunError(
            f"this run has format {_format(found)}: this rung reads format {FORMAT}", str(folder), fix
        )
    if not (folder / "report.json").is_file():
        raise RunError("the build has not ended", str(folder), "Run `rung build` with --run to finish it.")
    return found, (folder / str(found.get(_BASE, "../.."))).resolve()


def _ended_before_a_trial(folder: Path) -> bool:
    """Return whether a run has fitted nothing, nobody is building it, and nothing but the run's own files lies there."""
    own = {"product.yaml", "run.json", "building.lock", "events.jsonl", *_EARLY_STEPS}
    return not is_building(folder) and all(path.name in own for path in folder.iterdir())


def _format(owner: dict[str, Any]) -> int:
    """Return the format of a run by its run.json; 1 for those of version 0.1."""
    found = owner.get("format", 1)
    return found if isinstance(found, int) else 0


def _holds_others(folder: Path) -> bool:
    """Return whether anything but the first files of a run lies there: of one that was killed at once, or begins just now."""
    first = {"product.yaml", "product.yaml.tmp", "run.json.tmp", "building.lock", "events.jsonl"}
    return any(
        path.name not in first and not (path.name == "run.json" and path.is_file())
        for path in folder.iterdir()
    )


def choose_folder(base: Path, name: str, fingerprint: str) -> Path:
    """Return where a build without --run goes: the newest unfinished run of this very build, else a new one."""
    found = {}
    for folder in base.glob("*"):
        match = re.fullmatch(rf"{re.escape(name)}-(\d{{3,}})", folder.name)
        if match:
            found[int(match[1])] = folder
    for number in sorted(found, reverse=True):
        owner = found[number] / "run.json"
        if not owner.is_file() or (found[number] / "report.json").is_file():
            continue
        begun = read_json(owner)
        if begun.get("fingerprint") == fingerprint and _format(begun) == FORMAT:
            return found[number]
    return base / f"{name}-{max(found, default=0) + 1:03d}"
