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
from rung.serving.batching import BatchSizer
from rung.serving.http.schemas import request_model
from rung.serving.predictor import Predictor, open_bundle

BundleLocator = Callable[[], Path]
# A look costs two `stat`s; `rung rollback` is to count within a second.
_POLL_SECONDS = 0.25
# A copy may be under way: what failed is tried again.
_RETRY_POLLS = 40


class ModelNotFound(RungError):
    """Answered with 404."""


class LoadedModel:
    """One open model, the requests it takes, and how many of them at a time."""

    def __init__(self, predictor: Predictor, max_rows: int, max_batch_size: int = 1) -> None:
        self.predictor = predictor
        self.batch_sizer = BatchSizer(max_batch_size)
        self.manifest = predictor.manifest
        self.request: type[BaseModel] = request_model(predictor.manifest.name, predictor.schema, max_rows)


class ModelRegistry:
    """All models of a server; the first of a name is the one its plain address means.

    finds: name -> where its bundle lies now; by default where it was opened.
    Raises BundleError for an uncertified bundle unless `uncertified`, and for the same model twice.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        uncertified: bool = False,
        locators: Mapping[str, BundleLocator] | None = None,
        max_rows: int = 1_000,
        max_batch_size: int = 1,
    ) -> None:
        self._uncertified = uncertified
        self._max_rows, self._max_batch_size = max_rows, max_batch_size
        self._finds = dict(locators or {})
        self._lock = threading.Lock()
        self._models: dict[str, list[LoadedModel]] = {}
        self._file_states: dict[str, Any] = {}
        for predictor in predictors:
            name, version = predictor.manifest.name, predictor.manifest.version
            if any(loaded.manifest.version == version for loaded in self._models.get(name, [])):
                raise BundleError(f"two bundles are called '{name}'", name, "Serve one of them.")
            self._require_certified(predictor)
            self._models.setdefault(name, []).append(LoadedModel(predictor, max_rows, max_batch_size))
            self._finds.setdefault(name, _fixed_location(predictor.folder))
        for name in self._models:
            self._file_states[name] = self._file_state(name)

    def all(self) -> list[LoadedModel]:
        """Return every model, those of plain addresses first within their name."""
        return [loaded for versions in self._models.values() for loaded in versions]

    def get(self, name: str, version: str | None = None) -> LoadedModel:
        """Return a model; raises NoSuchModel."""
        versions = self._models.get(name)
        if not versions:
            raise ModelNotFound(
                f"there is no model '{name[:64]}' here", "name", did_you_mean(name[:64], self._models)
            )
        if version is None:
            return versions[0]
        found = next((loaded for loaded in versions if loaded.manifest.version == version), None)
        if found is None:
            known = [loaded.manifest.version for loaded in versions]
            raise ModelNotFound(
                f"'{name}' has no version '{version[:64]}' here", "version", f"Here are: {', '.join(known)}."
            )
        return found

    def reload(self, name: str) -> LoadedModel:
        """Open a model's bundle again and let it take the old one's place; return what serves now.

        Everything is checked first, its packed examples too. Raises RungError and changes nothing when the bundle
        is damaged, another model's, uncertified, or answers its own examples otherwise.
        """
        self.get(name)
        with self._lock:
            mark = self._file_state(name)
            predictor = open_bundle(self._finds[name]())
            if predictor.manifest.name != name:
                raise BundleError(
                    f"the bundle is of '{predictor.manifest.name}', not of '{name}'", name, "Put the right one there."
                )  # fmt: skip
            self._require_certified(predictor)
            differs = predictor.selftest()
            if differs:
                raise BundleError(
                    f"it answers its packed examples otherwise: {len(differs)} differ",
                    name,
                    "Build it again.",
                )
            loaded = LoadedModel(predictor, self._max_rows, self._max_batch_size)
            # One assignment: a request sees the old list or the new one.
            self._models[name] = [loaded, *self._models[name][1:]]
            self._file_states[name] = mark
        return loaded

    def watch(self, stop: threading.Event, on_reload: Callable[[str, LoadedModel | None, str], None]) -> None:
        """Look every second whether a bundle was replaced, until told to stop; run it in a thread of its own.

        swapped: told the name, what serves now, and what was wrong ("" when nothing was).
        """
        failed: dict[str, tuple[Any, int]] = {}
        while not stop.wait(_POLL_SECONDS):
            for name in list(self._models):
                try:
                    mark = self._file_state(name)
                    if mark == self._file_states[name]:
                        continue
                    last, looks = failed.get(name, (None, 0))
                    if last == mark and looks < _RETRY_POLLS:
                        failed[name] = (mark, looks + 1)
                        continue
                    failed[name] = (mark, 0)
                    on_reload(name, self.reload(name), "")
                    failed.pop(name)
                except RungError as error:
                    on_reload(name, None, error.problem)
                except Exception as error:
                    log("watching failed", logging.ERROR, model=name, error=type(error).__name__)

    def _require_certified(self, predictor: Predictor) -> None:
        if not (predictor.manifest.certified or self._uncertified):
            raise BundleError(
                "the bundle is not certified: nothing has been proven about its quality",
                predictor.manifest.name,
                "Serve it all the same with --uncertified.",
            )

    def _file_state(self, name: str) -> Any:
        """Return what changes when a bundle is replaced; None while there is none."""
        try:
            manifest = (self._finds[name]() / "manifest.json").resolve()
            stat = manifest.stat()
        except (OSError, RungError):
            return self._file_states.get(name)
        return manifest, stat.st_ino, stat.st_mtime_ns, stat.st_size


def _fixed_location(folder: Path) -> BundleLocator:
    return lambda: folder
