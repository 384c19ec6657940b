"""The models a server has open, by name and version, and how one takes the place of another while requests run.

A request takes its model once and keeps it: after an exchange the old one answers what it had begun, then goes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rung.core.errors import BundleError, RungError, did_you_mean
from rung.core.logs import log
from rung.serving.batching import Batching
from rung.serving.http.schemas import request_model
from rung.serving.predictor import Predictor, open_bundle

Find = Callable[[], Path]
# A look costs two `stat`s; `rung rollback` is to count within a second.
_LOOK_SECONDS = 0.25
# A copy may be under way: what failed is tried again.
_AGAIN_LOOKS = 40


class NoSuchModel(RungError):
    """Answered with 404."""


class Hosted:
    """One open model, the requests it takes, and how many of them at a time."""

    def __init__(self, predictor: Predictor, most_rows: int, together: int = 1) -> None:
        self.predictor = predictor
        self.batching = Batching(together)
        self.manifest = predictor.manifest
        self.request: type[BaseModel] = request_model(predictor.manifest.name, predictor.schema, most_rows)


class Models:
    """All models of a server; the first of a name is the one its plain address means.

    finds: name -> where its bundle lies now; by default where it was opened.
    Raises BundleError for an uncertified bundle unless `uncertified`, and for the same model twice.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        uncertified: bool = False,
        finds: Mapping[str, Find] | None = None,
        most_rows: int = 1_000,
        together: int = 1,
    ) -> None:
        self._uncertified = uncertified
        self._most_rows, self._together = most_rows, together
        self._finds = dict(finds or {})
        self._lock = threading.Lock()
        self._models: dict[str, list[Hosted]] = {}
        self._marks: dict[str, Any] = {}
        for predictor in predictors:
            name, version = predictor.manifest.name, predictor.manifest.version
            if any(hosted.manifest.version == version for hosted in self._models.get(name, [])):
                raise BundleError(f"two bundles are called '{name}'", name, "Serve one of them.")
            self._may_serve(predictor)
            self._models.setdefault(name, []).append(Hosted(predictor, most_rows, together))
            self._finds.setdefault(name, _same(predictor.folder))
        for name in self._models:
            self._marks[name] = self._mark(name)

    def all(self) -> list[Hosted]:
        """Return every model, those of plain addresses first within their name."""
        return [hosted for versions in self._models.values() for hosted in versions]

    def get(self, name: str, version: str | None = None) -> Hosted:
        """Return a model; raises NoSuchModel."""
        versions = self._models.get(name)
        if not versions:
            raise NoSuchModel(
                f"there is no model '{name[:64]}' here", "name", did_you_mean(name[:64], self._models)
            )
        if version is None:
            return versions[0]
        found = next((hosted for hosted in versions if hosted.manifest.version == version), None)
        if found is None:
            known = [hosted.manifest.version for hosted in versions]
            raise NoSuchModel(
                f"'{name}' has no version '{version[:64]}' here", "version", f"Here are: {', '.join(known)}."
            )
        return found

    def reload(self, name: str) -> Hosted:
        """Open a model's bundle again and let it take the old one's place; return what serves now.

        Everything is checked first, its packed examples too. Raises RungError and changes nothing when the bundle
        is damaged, another model's, uncertified, or answers its own examples otherwise.
        """
        self.get(name)
        with self._lock:
            mark = self._mark(name)
            predictor = open_bundle(self._finds[name]())
            if predictor.manifest.name != name:
                raise BundleError(
                    f"the bundle is of '{predictor.manifest.name}', not of '{name}'", name, "Put the right one there."
                )  # fmt: skip
            self._may_serve(predictor)
            differs = predictor.selftest()
            if differs:
                raise BundleError(
                    f"it answers its packed examples otherwise: {len(differs)} differ",
                    name,
                    "Build it again.",
                )
            hosted = Hosted(predictor, self._most_rows, self._together)
            # One assignment: a request sees the old list or the new one.
            self._models[name] = [hosted, *self._models[name][1:]]
            self._marks[name] = mark
        return hosted

    def watch(self, stop: threading.Event, swapped: Callable[[str, Hosted | None, str], None]) -> None:
        """Look every second whether a bundle was replaced, until told to stop; run it in a thread of its own.

        swapped: told the name, what serves now, and what was wrong ("" when nothing was).
        """
        failed: dict[str, tuple[Any, int]] = {}
        while not stop.wait(_LOOK_SECONDS):
            for name in list(self._models):
                try:
                    mark = self._mark(name)
                    if mark == self._marks[name]:
                        continue
                    last, looks = failed.get(name, (None, 0))
                    if last == mark and looks < _AGAIN_LOOKS:
                        failed[name] = (mark, looks + 1)
                        continue
                    failed[name] = (mark, 0)
                    swapped(name, self.reload(name), "")
                    failed.pop(name)
                except RungError as error:
                    swapped(name, None, error.problem)
                except Exception as error:
                    log("watching failed", logging.ERROR, model=name, error=type(error).__name__)

    def _may_serve(self, predictor: Predictor) -> None:
        if not (predictor.manifest.certified or self._uncertified):
            raise BundleError(
                "the bundle is not certified: nothing has been proven about its quality",
                predictor.manifest.name,
                "Serve it all the same with --uncertified.",
            )

    def _mark(self, name: str) -> Any:
        """Return what changes when a bundle is replaced; None while there is none."""
        try:
            manifest = (self._finds[name]() / "manifest.json").resolve()
            stat = manifest.stat()
        except (OSError, RungError):
            return self._marks.get(name)
        return manifest, stat.st_ino, stat.st_mtime_ns, stat.st_size


def _same(folder: Path) -> Find:
    return lambda: folder
