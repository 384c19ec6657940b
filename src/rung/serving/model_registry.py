"""The loaded models of a server, by name and version, and their replacement while requests run.

A request looks up its model once and keeps it: after a reload the old model finishes its running requests.
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
from rung.core.manifest import Manifest
from rung.core.names import looks
from rung.journal.derived import OutputSplitter
from rung.journal.media import InputCodec
from rung.serving.answer_cache import AnswerCache
from rung.serving.batching import BatchSizer
from rung.serving.exploration import Explorer
from rung.serving.http.request_body import RequestReader
from rung.serving.http.schemas import request_model
from rung.serving.predictor import Predictor, open_bundle

BundleLocator = Callable[[], Path]
# A poll costs two `stat` calls; `rung rollback` must take effect within a second.
_POLL_SECONDS = 0.25
# A bundle may still be being copied: retry a failed load after this many polls.
_RETRY_POLLS = 40


class ModelNotFound(RungError):
    """No such model or version; HTTP 404."""


class LoadedModel:
    """A loaded model with its request schema and batch size."""

    def __init__(self, predictor: Predictor, max_rows: int, max_batch_size: int = 1) -> None:
        self.predictor = predictor
        self.batch_sizer = BatchSizer(max_batch_size)
        self.manifest = predictor.manifest
        # Read once: the folder may hold another version later.
        self.example = predictor.example()
        self.request: type[BaseModel] = request_model(
            predictor.manifest.name, predictor.schema, max_rows, predictor.unused
        )
        self.journal_inputs = InputCodec(predictor.schema.inputs)
        self.journal_outputs = OutputSplitter(predictor.schema)
        self.request_reader = RequestReader(self.request, predictor.schema, max_rows)


class ModelRegistry:
    """All models of a server; the first version of a name is the one at its unversioned path.

    cache: makes the cache of a bundle's answers, if it is to have one. explorer: makes what draws a share of its answers at random. locators: name -> function that returns the current bundle folder; default: the folder it was opened from.
    Raises BundleError for an uncertified bundle unless `uncertified`, and for a duplicate name and version.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        uncertified: bool = False,
        locators: Mapping[str, BundleLocator] | None = None,
        max_rows: int = 1_000,
        max_batch_size: int = 1,
        cache: Callable[[Manifest], AnswerCache | None] = lambda _: None,
        explorer: Callable[[Predictor], Explorer | None] = lambda _: None,
    ) -> None:
        self._cache, self._explorer = cache, explorer
        self._uncertified = uncertified
        self._max_rows, self._max_batch_size = max_rows, max_batch_size
        self._finds = dict(locators or {})
        self._lock = threading.Lock()
        self._models: dict[str, list[LoadedModel]] = {}
        self._file_states: dict[str, Any] = {}
        for predictor in predictors:
            name, version = predictor.manifest.name, predictor.manifest.version
            if any(loaded.manifest.version == version for loaded in self._models.get(name, [])):
                raise BundleError(
                    f"two bundles are version {version} of '{name}'", name, "Serve one of them."
                )
            alike = next(
                (other for other in self._models if other != name and looks(other) == looks(name)), None
            )
            if alike is not None:
                problem = f"the names '{alike}' and '{name}' look alike"
                raise BundleError(
                    problem, name, "Serve them with two servers, or rename one and build it again."
                )
            self._require_certified(predictor)
            self._models.setdefault(name, []).append(self._loaded(predictor))
            self._finds.setdefault(name, _fixed_location(predictor.folder))
        for name in self._models:
            self._file_states[name] = self._file_state(name)

    def _loaded(self, predictor: Predictor) -> LoadedModel:
        # A new version begins with an empty cache.
        predictor.use_cache(self._explorer(predictor) or self._cache(predictor.manifest))
        return LoadedModel(predictor, self._max_rows, self._max_batch_size)

    def all(self) -> list[LoadedModel]:
        """Return every model; within a name the one at the unversioned path comes first."""
        return [loaded for versions in self._models.values() for loaded in versions]

    def get(self, name: str, version: str | None = None) -> LoadedModel:
        """Return a model; raises ModelNotFound."""
        versions = self._models.get(name)
        if not versions:
            raise ModelNotFound(
                f"there is no model '{name[:64]}'", "name", did_you_mean(name[:64], self._models)
            )
        if version is None:
            return versions[0]
        found = next((loaded for loaded in versions if loaded.manifest.version == version), None)
        if found is None:
            known = [loaded.manifest.version for loaded in versions]
            raise ModelNotFound(
                f"'{name}' has no version '{version[:64]}'", "version", f"Available: {', '.join(known)}."
            )
        return found

    def reload(self, name: str) -> LoadedModel:
        """Load a model's bundle again, replace the running one, and return the new one.

        The bundle is verified and self-tested first. Raises RungError and changes nothing when it is damaged, of
        another product, uncertified, or fails its self-test.
        """
        self.get(name)
        with self._lock:
            mark = self._file_state(name)
            predictor = open_bundle(self._finds[name]())
            if predictor.manifest.name != name:
                raise BundleError(
                    f"the bundle belongs to '{predictor.manifest.name}', not to '{name}'", name, "Put the right bundle there."
                )  # fmt: skip
            self._require_certified(predictor)
            differs = predictor.selftest()
            if differs:
                raise BundleError(
                    f"the self-test failed: {len(differs)} packed examples give another answer",
                    name,
                    "Build it again.",
                )
            loaded = self._loaded(predictor)
            # A single assignment: a request sees the old list or the new one.
            self._models[name] = [loaded, *self._models[name][1:]]
            self._file_states[name] = mark
        return loaded

    def watch(self, stop: threading.Event, on_reload: Callable[[str, LoadedModel | None, str], None]) -> None:
        """Poll for replaced bundles until `stop` is set; run this in its own thread.

        on_reload: called with the name, the new model (None on failure) and the problem ("" on success).
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
                "the bundle is not certified: its quality is not proven",
                predictor.manifest.name,
                "To serve it anyway, add --uncertified.",
            )

    def _file_state(self, name: str) -> Any:
        """Return a value that changes when the bundle is replaced; the last known one while there is no bundle."""
        try:
            manifest = (self._finds[name]() / "manifest.json").resolve()
            stat = manifest.stat()
        except (OSError, RungError):
            return self._file_states.get(name)
        return manifest, stat.st_ino, stat.st_mtime_ns, stat.st_size


def _fixed_location(folder: Path) -> BundleLocator:
    return lambda: folder
